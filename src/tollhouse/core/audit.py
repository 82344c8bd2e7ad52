"""The audit log: one row for every administrative write, each sealed together with the one before it.

Rows are numbered from 1. The seal of a row covers everything in it and the seal before; a seal of its own covers how
many there are and which is the last. So a row that was altered, taken out, put elsewhere or cut off at the end is
found, and named. What cannot be found from the rows alone is that all of it was put back to an earlier day: for that,
somebody keeps the head elsewhere and shows it when verifying.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

FIRST_SEAL: Final = "0" * 64
"""Stands for the row before the first."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which thing, and what it was before and after."""

    number: int
    at: float
    actor_id: str
    actor_name: str
    action: str
    object: str
    """Kind and id, such as `key:key_01…`."""
    before: str | None = None
    """The thing as a JSON document, without digests of credentials; None where it was not there."""
    after: str | None = None
    before_digest: str | None = None
    """Of the whole thing, keyed: tells whether it was the same, and nothing else."""
    after_digest: str | None = None
    request_id: str = ""
    peer: str = ""
    seal_before: str = FIRST_SEAL
    seal: str = ""


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows there are, and the seal of the last."""

    count: int = 0
    seal: str = FIRST_SEAL
    signature: str = ""


class AuditFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the log, and where."""

    number: int | None
    """Of the row; None where it is the head."""
    what: str


def sealed(key: bytes, row: AuditRow, head: AuditHead) -> tuple[AuditRow, AuditHead]:
    """The row as the next one after `head`, and the new head."""
    placed = msgspec.structs.replace(row, number=head.count + 1, seal_before=head.seal, seal="")
    placed = msgspec.structs.replace(placed, seal=_seal(key, placed))
    return placed, signed(key, AuditHead(count=placed.number, seal=placed.seal))


def signed(key: bytes, head: AuditHead) -> AuditHead:
    """The head with its signature."""
    return msgspec.structs.replace(head, signature=_signature(key, head))


def digest_of(key: bytes, document: bytes) -> str:
    """Of a thing as it is stored."""
    return hmac.digest(key, b"document\0" + document, "sha256").hex()


class Verifier:
    """Reads the rows in the order of their numbers, and says at the end what is wrong."""

    _MOST_FAULTS: Final = 1_000

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys` are all that rows may have been sealed with, one after another."""
        self._keys = tuple(keys)
        self._faults: list[AuditFault] = []
        self._last = 0
        self._last_seal = FIRST_SEAL
        self._is_sound = True
        """Whether the seal of the last row is its own."""
        self._seals: dict[int, str] = {}

    def read(self, rows: Iterable[AuditRow], *, wanted: int | None = None) -> None:
        """The next rows. The seal of the row numbered `wanted` is kept, to be compared at the end."""
        for row in rows:
            for missing in range(self._last + 1, min(row.number, self._last + 1 + self._MOST_FAULTS)):
                self._fault(missing, "is missing")
            is_altered = not any(hmac.compare_digest(row.seal, _seal(key, row)) for key in self._keys)
            if is_altered:
                self._fault(row.number, "has been altered")
            elif row.number == self._last + 1 and self._is_sound and row.seal_before != self._last_seal:
                self._fault(row.number, "does not follow the row before it")
            if row.number == wanted:
                self._seals[row.number] = row.seal
            self._last, self._last_seal, self._is_sound = row.number, row.seal, not is_altered

    def faults(self, head: AuditHead | None, kept: AuditHead | None = None) -> tuple[AuditFault, ...]:
        """All that is wrong, oldest row first. `head` is the one in the store, `kept` one that somebody wrote down."""
        if head is None:
            if self._last:
                self._fault(None, "is missing")
            head = AuditHead(count=self._last, seal=self._last_seal)
        elif (head.count or head.signature) and not self._is_signed(head):
            self._fault(None, "has been altered")
        for missing in range(self._last + 1, min(head.count, self._last + self._MOST_FAULTS) + 1):
            self._fault(missing, "is missing at the end")
        for added in range(head.count + 1, min(self._last, head.count + self._MOST_FAULTS) + 1):
            self._fault(added, "is not covered by the head")
        if head.count == self._last and head.seal != self._last_seal and not self._faults:
            self._fault(None, "does not seal the last row")
        if kept is not None and kept.count and self._seals.get(kept.count) != kept.seal:
            self._fault(kept.count, "is not the row that the head kept elsewhere seals")
        return tuple(self._faults)

    def _is_signed(self, head: AuditHead) -> bool:
        return any(hmac.compare_digest(head.signature, _signature(key, head)) for key in self._keys)

    def _fault(self, number: int | None, what: str) -> None:
        if len(self._faults) < self._MOST_FAULTS:
            self._faults.append(AuditFault(number=number, what=what))


def _seal(key: bytes, row: AuditRow) -> str:
    plain = msgspec.json.encode(msgspec.structs.replace(row, seal=""))
    return hmac.digest(key, b"row\0" + plain, "sha256").hex()


def _signature(key: bytes, head: AuditHead) -> str:
    return hmac.digest(key, f"head\0{head.count}\0{head.seal}".encode(), "sha256").hex()
