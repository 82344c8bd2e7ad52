"""Keys as a keyring has them: everything that can be known before a call comes is worked out here, once."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final, TypeVar

import msgspec

from tollhouse.core.identity import Principal, VirtualKey

from .refusals import KeyRefused, disabled, expired, revoked
from .restrictions import Restrictions

T = TypeVar("T")

_MOST_SHARED: Final = 200_000


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A key with the principal it makes. Nothing in it leads back to it: the collector need not look at it."""

    principal: Principal
    digest: bytes
    open_until: float
    """When it expires, infinity where it never does; minus infinity while it is revoked or disabled."""
    restrictions: Restrictions | None
    """None for a key that opens from everywhere, always and for everything."""
    version: int
    is_revoked: bool
    is_foreign: bool
    """Whether it is known by an unsalted digest that the house's own is to replace."""
    former_digest: bytes | None = None
    former_until: float = -inf

    def refusal(self) -> KeyRefused:
        """Why it is not open any more."""
        if self.is_revoked:
            return revoked(self.principal.key_id)
        return (disabled if self.open_until == -inf else expired)(self.principal.key_id)


Declared = dict[bytes, Entry]
"""The keys of a configuration, by digest."""


class EntryBuilder:
    """Makes entries. What many keys have in common, such as the globs of a team, they share."""

    __slots__ = ("_restrictions", "_shared")

    def __init__(self) -> None:
        self._shared: dict[object, object] = {}
        self._restrictions: dict[tuple[tuple[str, ...], ...], Restrictions] = {}

    def entry(self, key: VirtualKey, *, is_declared: bool = False) -> Entry:
        """Raises: ValueError where a digest is none."""
        share = self._share
        principal = Principal(
            key_id=key.id,
            key_name=key.name,
            team=share(key.team) if key.team is not None else None,
            project=share(key.project) if key.project is not None else None,
            account=share(key.account) if key.account is not None else None,
            routes=share(key.routes),
            tags=share(key.tags),
            limits=share(key.limits),
            budget=share(key.budget) if key.budget is not None else None,
            max_output_tokens=key.max_output_tokens,
            expires_at=key.expires_at,
        )
        is_closed = key.revoked_at is not None or key.disabled_at is not None
        former = key.former_digest
        return Entry(
            principal=principal,
            digest=bytes.fromhex(key.digest),
            open_until=-inf if is_closed else key.expires_at if key.expires_at is not None else inf,
            restrictions=self._restrict(key),
            version=key.version,
            is_revoked=key.revoked_at is not None,
            is_foreign=key.scheme == "sha256" and not is_declared,
            former_digest=bytes.fromhex(former) if former is not None else None,
            former_until=key.former_until if key.former_until is not None else -inf,
        )

    def _share(self, value: T) -> T:
        """The first value that was equal to this one."""
        shared = self._shared
        if len(shared) >= _MOST_SHARED:
            shared.clear()  # those that have one keep it
        return shared.setdefault(value, value)  # type: ignore[return-value]

    def _restrict(self, key: VirtualKey) -> Restrictions | None:
        if not (key.networks or key.hours or key.doors):
            return None
        said = (key.networks, key.hours, key.doors)
        restrictions = self._restrictions.get(said)
        if restrictions is None:
            if len(self._restrictions) >= _MOST_SHARED:
                self._restrictions.clear()
            restrictions = self._restrictions[said] = Restrictions(*said)
        return restrictions


def entries_of(keys: Iterable[VirtualKey]) -> Declared:
    """The keys that a configuration declares."""
    builder = EntryBuilder()
    entries = [builder.entry(key, is_declared=True) for key in keys]
    return {entry.digest: entry for entry in entries}
