"""The keys a process knows, and what they make of a text."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from math import inf
from typing import Final

from tollhouse.core.client_token import ClientTokenSigner
from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import Principal, Upgrade, VirtualKey
from tollhouse.core.ids import KEY_PREFIX, is_virtual_key
from tollhouse.core.operation import Operation
from tollhouse.core.secret import Secret

from .client_tokens import PREFIX as _TOKEN_PREFIX
from .client_tokens import principal_of, read_token
from .digests import LONGEST_KEY_BYTES
from .entry import Declared, Entry, EntryBuilder
from .refusals import cannot_check, no_key, replaced, revoked

_PREFIX: Final = KEY_PREFIX.encode()
_MOST_UPGRADES: Final = 1_000
"""That wait to be told. What finds no room is told when its key is used again."""
_TELL_AGAIN_S: Final = 60.0


class Keyring:
    """The keys this process knows: those of the store, which grow, and those that the configuration declares, which
    come and go with it. Changed only by `learn`, `declare` and those that begin with `set_`.

    States of a key may come late, twice and out of order: one that is older than what is known of its key, by its
    version, changes nothing. And what has been revoked stays so, whatever comes.
    """

    __slots__ = (
        "_builder",
        "_by_id",
        "_declared",
        "_declared_by_id",
        "_entries",
        "_former",
        "_hmac",
        "_is_fresh",
        "_is_loaded",
        "_told",
        "_upgrades",
        "_withdrawn",
        "changes",
        "client_tokens",
    )

    def __init__(self, pepper: Secret, client_tokens: ClientTokenSigner | None = None) -> None:
        self._hmac = hmac.new(pepper.reveal().encode(), digestmod="sha256")
        """Keyed once and copied for each text: half the cost of keying anew."""
        self.client_tokens = client_tokens if client_tokens is not None else ClientTokenSigner()
        """What signs browser tokens, and verifies them."""
        self._builder = EntryBuilder()
        self._by_id: dict[str, Entry] = {}
        """Of the store."""
        self._entries: dict[bytes, Entry] = {}
        """The same, by digest."""
        self._former: dict[bytes, Entry] = {}
        """Those of them that were rotated, by the digest before."""
        self._declared: Declared = {}
        self._declared_by_id: dict[str, Entry] = {}
        self._withdrawn: set[str] = set()
        """Ids that were declared once and are not any more."""
        self._upgrades: dict[str, Upgrade] = {}
        self._told: dict[str, float] = {}
        """When upgrades were last noted, by key id."""
        self._is_fresh = False
        self._is_loaded = False
        self.changes = 0
        """How often something of what is known has changed."""

    # -- what is known

    def learn(self, keys: Iterable[VirtualKey]) -> None:
        """Add keys or take over their new states. A digest stays known when its key is revoked.

        About two microseconds a key: whoever has very many gives them in several portions.
        """
        for key in keys:
            known = self._by_id.get(key.id)
            if known is not None:
                if key.revoked_at is None and (known.is_revoked or key.version < known.version):
                    continue
                self._forget(known)
                self.changes += 1
            try:
                entry = self._builder.entry(key)
            except ValueError:  # its row is damaged: no text has such a digest
                self._by_id.pop(key.id, None)
                continue
            self._by_id[key.id] = entry
            self._entries[entry.digest] = entry
            if entry.former_digest is not None:
                self._former[entry.former_digest] = entry

    def _forget(self, known: Entry) -> None:
        """Its digests: the state that takes its place has its own."""
        if self._entries.get(known.digest) is known:
            del self._entries[known.digest]
        if known.former_digest is not None and self._former.get(known.former_digest) is known:
            del self._former[known.former_digest]
        if known.is_foreign:
            self._told.pop(known.principal.key_id, None)

    def declare(self, entries: Declared) -> None:
        """Know these keys, see `entries_of`, in place of all that were declared before."""
        by_id = {entry.principal.key_id: entry for entry in entries.values()}
        self._withdrawn.update(self._declared_by_id)
        self._withdrawn.difference_update(by_id)
        self._declared, self._declared_by_id = entries, by_id
        self.changes += 1

    def set_loaded(self) -> None:
        """The store's keys have arrived, be they none."""
        self._is_loaded = True

    def set_freshness(self, *, is_fresh: bool) -> None:
        """Whether the store could be asked lately: if not, an unknown key may just be a new one."""
        self._is_fresh = is_fresh

    @property
    def is_loaded(self) -> bool:
        """Whether the store's keys have arrived, be they none."""
        return self._is_loaded

    def __len__(self) -> int:
        return len(self._by_id) + len(self._declared)

    def knows(self, key_id: str) -> bool:
        """Whether it is the id of a key that is known here, open or not."""
        return key_id in self._by_id or key_id in self._declared_by_id

    # -- what it says of a text

    def identify(
        self, text: bytes, now: float, operation: Operation = Operation.UNKNOWN, peer: str = ""
    ) -> Principal:
        """The principal of a text that is presented at `now` (seconds since the epoch), from the address `peer`, to ask
        for `operation`.

        What is not known costs the same, whatever it looks like: it is hashed whole, with the pepper, and what is
        compared are digests, of which no caller can choose any part.

        Raises: GatewayError `unauthenticated`, `key_expired`, `forbidden` (not from there, not now, not that), or
        `auth_unavailable` where it cannot be known. Of a key that is known it is a KeyRefused.
        """
        if text.startswith(_TOKEN_PREFIX):
            token = read_token(text, self.client_tokens, now, operation)
            entry = self._by_id.get(token.key_id) or self._declared_by_id.get(token.key_id)
            if entry is None:
                raise self._unknown_maker()
            return principal_of(token, self._opened(entry, now, operation, peer))
        return self._opened(self._find(text, now), now, operation, peer)

    def open(self, key_id: str, now: float, operation: Operation, peer: str) -> Principal:
        """The principal of a key that somebody stands for who is known by other means. Raises: like `identify`."""
        entry = self._by_id.get(key_id) or self._declared_by_id.get(key_id)
        if entry is not None:
            return self._opened(entry, now, operation, peer)
        if not (self._is_loaded and self._is_fresh):
            raise cannot_check(
                "The key you stand for cannot be checked now: the store of keys is out of reach.",
                "Try again shortly; the key itself may be fine.",
            )
        raise no_key("The key you stand for is not known here.", "Tell whoever runs the gateway.")

    def _opened(self, entry: Entry, now: float, operation: Operation, peer: str) -> Principal:
        if now >= entry.open_until:
            raise entry.refusal()
        if entry.restrictions is not None:
            entry.restrictions.check(entry.principal.key_id, operation, peer, now)
        return entry.principal

    def _unknown_maker(self) -> GatewayError:
        if not (self._is_loaded and self._is_fresh):
            return cannot_check(
                "The browser token cannot be checked now: the key that it was made with is not known here yet.",
                "Try again shortly; the token itself may be fine.",
            )
        return no_key(
            "The key that this browser token was made with is not known here any more.",
            "Whoever runs the page's back end needs a new key.",
        )

    def _find(self, text: bytes, now: float) -> Entry:
        if text.startswith(_PREFIX):
            if not is_virtual_key(text.decode("latin-1")):
                raise no_key(
                    "This is not a whole Tollhouse key: its length or checksum is wrong.",
                    "Copy the key again, all 55 letters of it.",
                )
            digest = self._digest(text)
            entry = self._entries.get(digest)
            return entry if entry is not None else self._find_elsewhere(text, now, digest)
        if len(text) > LONGEST_KEY_BYTES:
            raise no_key(
                f"The key is longer than {LONGEST_KEY_BYTES} bytes.", "Send one key, and nothing else."
            )
        foreign = hashlib.sha256(text).digest()
        entry = self._entries.get(foreign) or self._declared.get(foreign)
        if entry is not None:
            if entry.is_foreign:
                self._note_upgrade(entry, text, now)
            return entry
        # An imported key whose digest has been upgraded, or one before its rotation.
        digest = self._digest(text)
        entry = self._entries.get(digest)
        return entry if entry is not None else self._find_elsewhere(text, now, digest, foreign)

    def _digest(self, text: bytes) -> bytes:
        keyed = self._hmac.copy()
        keyed.update(text)
        return keyed.digest()

    def _find_elsewhere(self, text: bytes, now: float, *digests: bytes) -> Entry:
        """Among the declared keys, and the texts that keys had before they were rotated."""
        for digest in digests:
            entry = self._declared.get(digest)
            if entry is not None:
                return entry
            entry = self._former.get(digest)
            if entry is None:
                continue
            if entry.former_until <= now < entry.open_until:
                raise replaced(entry.principal.key_id)
            return entry
        raise self._unknown(text)

    def _unknown(self, text: bytes) -> GatewayError:
        is_ours = text.startswith(_PREFIX)
        if not self._is_loaded or (is_ours and not self._is_fresh):
            return cannot_check(
                "The key cannot be checked now: the store of keys is out of reach, and this key is not known here yet.",
                "Try again shortly; the key itself may be fine.",
            )
        if text.strip().startswith(_PREFIX) and not is_ours:
            return no_key(
                "This key has spaces around it.", "Send `Authorization: Bearer <your key>` with one space."
            )
        return no_key(
            "This key is not known here.",
            "Use a virtual key of this gateway (`tollhouse keys create`), not a provider's key.",
        )

    # -- what has become of a key that was let in

    def why_closed(self, key_id: str, now: float) -> GatewayError | None:
        """Why nobody is let in with this key any more, from wherever and for whatever; None for one that is open, and
        for an id that is no key's."""
        entry = self._by_id.get(key_id) or self._declared_by_id.get(key_id)
        if entry is None:
            return revoked(key_id) if key_id in self._withdrawn else None
        return entry.refusal() if now >= entry.open_until else None

    # -- foreign digests

    def _note_upgrade(self, entry: Entry, text: bytes, now: float) -> None:
        key_id = entry.principal.key_id
        if now - self._told.get(key_id, -inf) < _TELL_AGAIN_S or len(self._upgrades) >= _MOST_UPGRADES:
            return
        self._told[key_id] = now
        self._upgrades[key_id] = Upgrade(
            key_id=key_id, foreign=entry.digest.hex(), digest=self._digest(text).hex()
        )

    def take_upgrades(self) -> list[Upgrade]:
        """Imported keys that were used since the last time, and by what they can be known from now on."""
        upgrades, self._upgrades = self._upgrades, {}
        return list(upgrades.values())
