"""Every exchange ends here, exactly once: one row to the journal, one to the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import AuthEvent, Outcome, Settlement
from tollhouse.core.passage import Passage
from tollhouse.ports.clock import Clock
from tollhouse.ports.journal import Journal
from tollhouse.ports.sink import Sink

_MOST_AUTH_LINES: Final = 1_000


class AuthenticationLog:
    """Counts attempts to authenticate that are alike, so that a flood of them is one line each every half second.

    Bounded: beyond a thousand different ones between two `drain`s, the rest is counted in one line without details.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str | None, str, str], int] = {}

    def note(self, outcome: str, key_id: str | None, hint: str, peer: str) -> None:
        """One attempt: `outcome` is `ok` or the code of the refusal."""
        line = (outcome, key_id, hint, peer)
        if line not in self._counts and len(self._counts) >= _MOST_AUTH_LINES:
            line = (outcome, None, "", "")
        self._counts[line] = self._counts.get(line, 0) + 1

    def drain(self, at: float) -> list[AuthEvent]:
        """What has been counted since the last time."""
        counts, self._counts = self._counts, {}
        return [
            AuthEvent(at=at, outcome=outcome, key_id=key_id, hint=hint, peer=peer, count=count)
            for (outcome, key_id, hint, peer), count in counts.items()
        ]


class Accountant:
    """Writes the books of one process."""

    def __init__(self, journal: Journal, sinks: Sequence[Sink], clock: Clock) -> None:
        self._journal = journal
        self._sinks = tuple(sinks)
        self._clock = clock
        self.authentication_log = AuthenticationLog()

    def settle(self, passage: Passage) -> None:
        """The exchange is over. Never raises and never waits: it must not be kept from happening."""
        now = self._clock.monotonic()
        if passage.attempts:
            self._settle_last_attempt(passage, now)
        record = passage.record(now)
        self._journal.note(Settlement(exchange=record))
        for sink in self._sinks:
            sink.write(record)

    def _settle_last_attempt(self, passage: Passage, now: float) -> None:
        """The attempt whose answer was delivered ends as its exchange does."""
        attempt = passage.attempts[-1]
        if attempt.outcome is not Outcome.OPEN:
            return
        attempt.outcome = passage.outcome
        attempt.error = passage.error
        attempt.duration_s = now - attempt.started
        attempt.is_estimated = passage.outcome is not Outcome.OK and passage.usage is None

    def flush_authentication_log(self) -> None:
        """To be called a few times a second, and at the end."""
        for event in self.authentication_log.drain(self._clock.now()):
            self._journal.note(event)


def outcome_of(error: GatewayError, passage: Passage) -> Outcome:
    """How an exchange ended that ended in this error."""
    if error.kind is ErrorKind.INTERNAL:
        return Outcome.INTERNAL
    if not passage.attempts and error.blame is not Blame.UPSTREAM:
        return Outcome.DENIED
    if error.kind.is_timeout:
        return Outcome.TIMEOUT
    return Outcome.UPSTREAM_ERROR
