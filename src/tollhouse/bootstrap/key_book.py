"""What commands do with virtual keys. Every change is one transaction with its row of the audit log, and counts in a
running house once that has been told (`OpenHouse.refresh`)."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from tollhouse.config.keys import Key, virtual_key
from tollhouse.core.authority import Action
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import key_hint, time_ordered_id, virtual_key_text
from tollhouse.core.limits import CounterKind, Scope
from tollhouse.core.people import Account, Project
from tollhouse.core.secret import Secret
from tollhouse.limits.counters import counters_of
from tollhouse.ports.store import StoreRefused
from tollhouse.stages.authenticate import key_digest

if TYPE_CHECKING:
    from tollhouse.administration import Case
    from tollhouse.ports.store import Store

Begin = Callable[[Action], AbstractContextManager["Case"]]
"""Opens a transaction of the administration, see Administration.by_hand."""

_MOST_TRIES: Final = 20
"""Somebody else changes the same key at the same moment: seldom once, hardly ever twice."""
_AT_ONCE: Final = 500
"""Imported keys in one transaction."""


class KeyNotChanged(Exception):
    """What was asked for cannot be done with this key; `hint` says what can."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ImportedKey(Key, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a file of keys from elsewhere: a declared key, under any name."""

    name: str


class Import(msgspec.Struct, frozen=True):
    """What became of one line."""

    line: int
    key: VirtualKey | None
    """None where the line is wrong."""
    is_new: bool = False
    problem: str = ""


class KeyBook:
    """The keys of a house: those of its store, which it changes, and those its configuration declares."""

    def __init__(self, store: Store, begin: Begin, pepper: Secret, declared: Sequence[VirtualKey]) -> None:
        self._store = store
        self._begin = begin
        self._pepper = pepper
        self._declared = {key.id: key for key in declared}

    def all(self) -> list[VirtualKey]:
        """Declared ones first, then by age. Raises: StoreUnavailable, like everything here."""
        return [*self._declared.values(), *self._store.keys()[1]]

    def find(self, key_id: str) -> VirtualKey:
        """Raises: KeyNotChanged where there is none."""
        key = self._declared.get(key_id) or self._store.key(key_id)
        if key is None:
            raise _unknown(key_id)
        return key

    def spent_nanousd(self, key: VirtualKey, now: float) -> int | None:
        """What its own budget has been charged in the period that goes on, as far as it stands in the books; None for
        a key without one."""
        scope = Scope(id=f"key:{key.id}", name=key.name, budget=key.budget)
        purses = [each for each in counters_of(scope, now) if each.kind is CounterKind.PURSE]
        if not purses:
            return None
        asked = {purse_id for purse in purses for purse_id in (purse.id, *purse.past)}
        return sum([row.nanousd for row in self._store.spending() if row.purse in asked])

    def make(self, fields: Mapping[str, object]) -> tuple[VirtualKey, str]:
        """A new key of these fields, and its text, which is kept nowhere. Raises: KeyNotChanged where whose it is to be
        does not exist."""
        now, text = time.time(), virtual_key_text(os.urandom(32))
        key = replace(
            VirtualKey(
                id=time_ordered_id("key_", now, os.urandom(5)),
                name="",
                digest=key_digest(self._pepper, text),
                hint=key_hint(text),
                created_at=now,
            ),
            **fields,
        )
        with self._begin(Action.KEYS_CREATE) as case:
            _check_owners(case, key)
            case.register.add_keys(key)
            case.record(f"key:{key.id}", None, key)
        return key, text

    def edit(
        self,
        key_id: str,
        change: Callable[[VirtualKey], VirtualKey],
        action: Action = Action.KEYS_CHANGE,
    ) -> VirtualKey:
        """The key as `change` makes it of what it is; called again where somebody else was faster.

        Raises: KeyNotChanged for a key that is not the store's or has been revoked, or that changes all the time.
        """
        for _ in range(_MOST_TRIES):
            with suppress(_Overtaken), self._begin(action) as case:
                key = self._changeable(case, key_id)
                if key.revoked_at is not None:
                    raise KeyNotChanged(
                        f"{key_id} has been revoked, for good.", "Make a new one: `tollhouse keys create`."
                    )
                changed = change(key)
                if changed != key:
                    _check_owners(case, changed)
                    _put(case, changed)
                    case.record(f"key:{key_id}", key, changed)
                return changed
        raise _restless(key_id)

    def rotate(self, key_id: str, grace_s: float) -> tuple[VirtualKey, str]:
        """Another text for the key; the one it has opens for `grace_s` more. Raises: KeyNotChanged."""
        text = virtual_key_text(os.urandom(32))
        now = time.time()

        def rotated(key: VirtualKey) -> VirtualKey:
            return replace(
                key,
                digest=key_digest(self._pepper, text),
                scheme="hmac",
                hint=key_hint(text),
                former_digest=key.digest if grace_s else None,
                former_until=now + grace_s if grace_s else None,
            )

        return self.edit(key_id, rotated, Action.KEYS_ROTATE), text

    def disable(self, key_id: str) -> VirtualKey:
        """Until it is enabled again. Raises: KeyNotChanged."""
        now = time.time()
        return self.edit(
            key_id,
            lambda key: key if key.disabled_at is not None else replace(key, disabled_at=now),
            Action.KEYS_DISABLE,
        )

    def enable(self, key_id: str) -> VirtualKey:
        """Raises: KeyNotChanged."""
        return self.edit(key_id, lambda key: replace(key, disabled_at=None), Action.KEYS_ENABLE)

    def revoke(self, key_id: str) -> VirtualKey:
        """For good. Raises: KeyNotChanged for a key that is not the store's."""
        for _ in range(_MOST_TRIES):
            with suppress(_Overtaken), self._begin(Action.KEYS_REVOKE) as case:
                key = self._changeable(case, key_id)
                if key.revoked_at is None:
                    revoked = replace(key, revoked_at=time.time())
                    _put(case, revoked)
                    case.record(f"key:{key_id}", key, revoked)
                    return revoked
                return key
        raise _restless(key_id)

    def _changeable(self, case: Case, key_id: str) -> VirtualKey:
        if key_id in self._declared:
            raise KeyNotChanged(
                f"{key_id} is declared in the configuration.",
                "Change it in `keys` there and run `tollhouse reload`.",
            )
        key = case.register.key(key_id)
        if key is None:
            raise _unknown(key_id)
        return key

    def bring_in(self, lines: Iterable[bytes]) -> Iterator[Import]:
        """Add keys from elsewhere, one JSON object a line, and tell of each line what became of it.

        An id is made of the hash, so that a key that is here already stays as it is, whatever has become of it.
        """
        now = time.time()
        here = {key.id for key in self._store.keys()[1]}
        taken = {key.digest for key in self._declared.values()}
        waiting: list[Import] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            read = _read_line(number, line, now, taken)
            if read.key is not None and read.key.id not in here:
                here.add(read.key.id)
                waiting.append(msgspec.structs.replace(read, is_new=True))
            else:
                yield read
            if len(waiting) == _AT_ONCE:
                yield from self._added(waiting)
                waiting = []
        yield from self._added(waiting)

    def _added(self, imports: Sequence[Import]) -> Iterator[Import]:
        """Put them into the store: all at once or, where it does not take one of them, each by itself."""
        try:
            keys = [each.key for each in imports if each.key is not None]
            if keys:
                with self._begin(Action.KEYS_CREATE) as case:
                    case.register.add_keys(*keys)
                    for key in keys:
                        case.record(f"key:{key.id}", None, key)
        except StoreRefused as error:
            if len(imports) == 1:
                yield Import(imports[0].line, None, problem=str(error))
            else:
                for each in imports:
                    yield from self._added([each])
        else:
            yield from imports


class _Overtaken(Exception):
    """Somebody has changed the key since it was read: the transaction is undone, and begun again."""


def _put(case: Case, key: VirtualKey) -> None:
    try:
        case.register.put_key(key)
    except StoreRefused as error:
        raise _Overtaken from error


def _check_owners(case: Case, key: VirtualKey) -> None:
    """Raises: KeyNotChanged where the key's project is none of its team's, or its account is not there."""
    if key.project is not None:
        project = case.register.find(Project, key.project)
        if project is None or project.team != key.team:
            where = f"of the team {key.team}" if key.team is not None else "without a team"
            raise KeyNotChanged(
                f"There is no project {key.project!r} {where}.", "`tollhouse projects list` shows them."
            )
    if key.account is not None and case.register.find(Account, key.account) is None:
        raise KeyNotChanged(
            f"There is no account {key.account!r}.",
            "`tollhouse users list` and `tollhouse accounts list` show them.",
        )


def _unknown(key_id: str) -> KeyNotChanged:
    return KeyNotChanged(f"There is no key {key_id!r}.", "`tollhouse keys list` shows them.")


def _restless(key_id: str) -> KeyNotChanged:
    return KeyNotChanged(f"{key_id} is being changed by somebody else all the time.", "Try again.")


def _read_line(number: int, line: bytes, now: float, taken: Collection[str]) -> Import:
    try:
        key = _imported(line, now)
    except (msgspec.MsgspecError, ValueError) as error:
        return Import(number, None, problem=str(error))
    if key.digest in taken:
        return Import(number, None, problem="A key of the configuration has the same hash.")
    return Import(number, key)


def _imported(line: bytes, now: float) -> VirtualKey:
    written = msgspec.json.decode(line, type=ImportedKey)
    if not 1 <= len(written.name) <= 100 or not written.name.isprintable():
        raise ValueError("A key's name is 1 to 100 printable letters.")
    of_hash = hashlib.sha256(b"tollhouse imported key " + written.sha256.lower().encode()).hexdigest()
    return virtual_key(written, id=f"key_{of_hash[:22]}", created_at=now)
