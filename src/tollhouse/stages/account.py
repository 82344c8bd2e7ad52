"""Every exchange ends here, exactly once: one row to the journal, one to the sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import AuthEvent, Outcome, Settlement
from tollhouse.core.limits import Lease
from tollhouse.core.money import cost_nanousd
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Price
from tollhouse.limits.charges import unused_of, used_of
from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import Counters
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

    def __init__(self, journal: Journal, sinks: Sequence[Sink], clock: Clock, counters: Counters) -> None:
        self._journal = journal
        self._counters = counters
        self._sinks = tuple(sinks)
        self._clock = clock
        self.authentication_log = AuthenticationLog()

        self.overruns = 0
        """Exchanges that cost more than the bound which a budget had been charged with."""

    def settle(self, passage: Passage, price_of: Callable[[Candidate], Price | None]) -> None:
        """The exchange is over. Never raises and never waits: it must not be kept from happening."""
        now = self._clock.monotonic()
        if passage.attempts:
            self._settle_last_attempt(passage, now)
            self._reckon(passage, price_of)
        if passage.lease is not None:
            self._settle_lease(passage, passage.lease)
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
        is_refused = attempt.status is not None and not passage.is_answered
        attempt.is_estimated = passage.outcome is not Outcome.OK and passage.usage is None and not is_refused

    def _reckon(self, passage: Passage, price_of: Callable[[Candidate], Price | None]) -> None:
        """What the answer cost, by the price of whoever gave it."""
        if passage.usage is None:
            return
        price = price_of(passage.attempts[-1].candidate)
        if price is not None:
            passage.cost_nanousd = cost_nanousd(passage.usage, price)

    def _settle_lease(self, passage: Passage, lease: Lease) -> None:
        """What was set aside and not used is everybody's again."""
        charged = passage.charged_nanousd
        if passage.is_answered or any(attempt.is_estimated for attempt in passage.attempts):
            used = used_of(lease, passage.usage, charged)
        else:
            used = unused_of(lease)
        if charged is not None and charged > passage.reserved_nanousd:
            self.overruns += 1
        self._counters.settle(lease, used)

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
