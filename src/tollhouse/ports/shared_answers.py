"""Answers to idempotency keys that are known at every worker of every house over the same shelf.

A worker asks the shelf before it makes a call of which its own book knows nothing. Without the shelf it goes by its own
book alone: nothing here raises, and what cannot be said is `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

import msgspec

from tollhouse.core.exchange import Outcome

from .reply import HeaderList


class Head(msgspec.Struct, frozen=True, array_like=True):
    """How an answer begins."""

    status: int
    headers: HeaderList
    opening: bytes = b""
    """The first bytes of its body, where they left with the headers."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """A whole answer, as it was recorded."""

    head: Head
    body: bytes
    """Without the opening."""
    is_unary: bool
    """Whether it was sent whole."""
    is_aborted: bool
    """Whether it was cut after its last byte."""
    outcome: Outcome
    """Of the exchange that it was recorded in."""


class Found(IntEnum):
    """What the shelf knows of a key. The values are those of the scripts."""

    UNKNOWN = 0
    """It cannot be asked now."""
    FIRST = 1
    """Nobody has used the key: the call is the asker's to make."""
    GOING_ON = 2
    """Another worker makes the call."""
    ANSWERED = 3
    GONE = 4
    """The call was made, or may have been; its answer cannot be given."""
    MISMATCH = 5
    """The key was used for another request."""
    FREE = 6
    """Whoever had claimed it sent nothing to any upstream: it may be claimed again."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the shelf says of a key."""

    found: Found
    exchange_id: str = ""
    """Of the call that is going on, or was answered."""
    left_s: float = 0.0
    """For how long the answer stays."""
    pieces: int = 0
    """What the answer is made of."""
    head: Head | None = None
    """How the answer that is being made begins, where that has been told."""


class Ticket(msgspec.Struct, kw_only=True, eq=False):
    """One exchange's interest in one key."""

    name: str
    """What the shelf knows the key by: it tells neither the tenant nor the key."""
    mark: bytes
    """What tells its request from others, and nothing else about it."""
    exchange_id: str
    life_s: float
    """For how long the answer is kept."""
    most_bytes: int
    """A larger answer is not put on the shelf."""
    head: Callable[[], Head | None] | None = None
    """How the answer that is made here begins, once it is known. Told to those elsewhere who wait."""


class SharedAnswers(Protocol):
    """One worker's way to the shelf. Nothing raises because of the shelf."""

    def ticket(
        self, tenant: str, key: str, fingerprint: bytes, exchange_id: str, life_s: float, most_bytes: int
    ) -> Ticket:
        """For this tenant's key. Fast; asks nobody."""

    async def claim(self, ticket: Ticket) -> Entry:
        """Of all who claim a key exactly one is told `FIRST`. It has the claim for as long as it lives, until it calls
        `put`, `lose` or `free`; when it dies the key is `GONE` some seconds later. Who is told `UNKNOWN` makes the call
        as well, and ends it in the same way, in case the shelf has heard of it after all."""

    async def look(self, ticket: Ticket, *, with_head: bool) -> Entry:
        """As `claim` finds it, but claims nothing: a key that nobody knows is `GONE`, and `FREE` one that was freed.
        `with_head` asks whoever makes the call to tell how the answer begins."""

    async def take(self, ticket: Ticket, entry: Entry) -> Answer | None:
        """The answer that was found; None where it cannot be read any more, or not now."""

    def put(self, ticket: Ticket, answer: Answer) -> None:
        """The call that was made here has ended with this answer. An answer for which there is no room is lost."""

    def lose(self, ticket: Ticket) -> None:
        """The call was made here, and there is no answer to be given."""

    def free(self, ticket: Ticket) -> None:
        """Nothing was sent to any upstream: the next may make the call. So with a claim that was not waited for."""


class AnswerSealer(Protocol):
    """Keeps answers from whoever can read the shelf."""

    def seal(self, text: bytes, place: bytes) -> bytes:
        """It opens in no other place."""

    def open(self, sealed: bytes, place: bytes) -> bytes | None:
        """None for what was not sealed by this house, or for another place, or was changed."""
