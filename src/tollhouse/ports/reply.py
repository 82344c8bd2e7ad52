"""The way back to the caller, whatever server stands at the door."""

from __future__ import annotations

from typing import Protocol

HeaderList = list[tuple[bytes, bytes]]


class Reply(Protocol):
    """One answer: either `send` it whole, or `start` it and `write` until the last bytes."""

    @property
    def is_started(self) -> bool:
        """Whether a status has gone out: from then on errors are told inside the stream."""

    @property
    def is_gone(self) -> bool:
        """Whether the caller has left."""

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        """The whole answer at once."""

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        """Status and headers of an answer whose length is not known, and the first bytes of its body: they leave with
        the next bytes written."""

    async def write(self, data: bytes) -> None:
        """Bytes of the body; returns when the caller's connection can take more.

        Raises: CallerTooSlow when it could not for too long.
        """

    def beat(self, data: bytes) -> None:
        """Bytes of the body, at once and without waiting, that may as well not leave: a sign of life in a silence.

        They leave if the answer has been started and has not ended, and nothing waits for a caller who takes slowly:
        somebody who has something to read needs no sign, and must not be sent more for every moment of not reading.
        """

    def end(self, data: bytes = b"") -> None:
        """The last bytes, and the proper end of the body."""

    def abort(self, last: bytes = b"") -> None:
        """Cut the answer so that the caller cannot take it for a whole one. `last` is still sent."""


class CallerGone(Exception):
    """Nobody waits for the answer any more."""


class CallerTooSlow(CallerGone):
    """The caller did not take what was sent to it."""
