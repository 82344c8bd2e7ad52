"""What workers and keepers say to the scripts, and what those answer, in msgpack."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Any, Final

import msgspec


class Status(IntEnum):
    """Of a worker's message."""

    OPEN = 0
    FROZEN = 1
    """Written down; nothing is handed out and no call decided."""
    REJOIN = 2
    """Not read: the bank does not know this owner, who has to tell all that it holds."""
    BARRED = 3
    """Not read: the owner is taken for dead."""
    STALE = 4
    """Not read: a later message of the same owner has been read before."""


class Flag(IntFlag):
    """What a worker's message is, besides what stands in it."""

    NONE = 0
    JOIN_FIRST = 1
    JOIN = 2
    JOIN_LAST = 4
    LEAVE = 8


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """To a worker's message."""

    status: Status
    owners: int
    young_us: int
    """For so long windows do not hold yet all that was used in them."""
    entries: list[list[int]]
    """One for each entry of the message; empty where the key has a wrong type."""
    calls: list[int]
    """Two for each call: the entry that has too little, from 1, and in how many microseconds it may have enough; -1
    where waiting does not help, -2 where it cannot be known."""
    era: str = ""
    """Another one once the bank has lost something of what it held; empty where the message was not read."""


NEVER_US: Final = -1
UNKNOWN_US: Final = -2

_encoder: Final = msgspec.msgpack.Encoder()
_answers: Final = msgspec.msgpack.Decoder(Answer)
_anything: Final = msgspec.msgpack.Decoder()


def encode_message(
    run_id: str,
    lease_us: int,
    owner: str,
    seq: int,
    flags: Flag,
    cell_us: int,
    entries: Sequence[Sequence[Any]],
    calls: Sequence[Sequence[int]],
) -> bytes:
    """A worker's."""
    return _encoder.encode((run_id, lease_us, owner, seq, int(flags), cell_us, entries, calls))


def decode_answer(answer: bytes) -> Answer:
    """Raises: msgspec.DecodeError."""
    return _answers.decode(answer)


def encode_order(run_id: str, lease_us: int, what: str, arguments: Sequence[Any]) -> bytes:
    """A keeper's."""
    return _encoder.encode((run_id, lease_us, what, arguments))


def decode_list(answer: bytes) -> list[Any]:
    """Raises: msgspec.DecodeError."""
    decoded: list[Any] = _anything.decode(answer)
    return decoded
