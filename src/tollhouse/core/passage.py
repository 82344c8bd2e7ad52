"""What is known so far about one exchange: the one thing in core that changes, until accounting freezes it.

The rooms write down what they find out as they find it out, so that a row can be made at any moment, also when the
call ends between two rooms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .errors import GatewayError
from .exchange import AttemptRecord, Caller, ExchangeRecord, Outcome
from .identity import Principal
from .limits import Lease
from .operation import Operation
from .routing import Candidate
from .stream_kind import EVENTS
from .usage import Usage, UsageSource

_LONGEST_TEXT = 200
_LONGEST_MESSAGE = 500


class Attempt:
    """One upstream call, from the moment its intent is written."""

    __slots__ = (
        "at",
        "candidate",
        "duration_s",
        "error",
        "is_estimated",
        "number",
        "outcome",
        "started",
        "status",
    )

    def __init__(self, number: int, candidate: Candidate, at: float, started: float) -> None:
        self.number = number
        self.candidate = candidate
        self.at = at
        """Seconds since the epoch, UTC."""
        self.started = started
        """The same moment on the monotonic clock."""
        self.outcome = Outcome.OPEN
        self.status: int | None = None
        self.error: str | None = None
        self.duration_s: float | None = None
        self.is_estimated = False

    def record(self) -> AttemptRecord:
        deployment = self.candidate.deployment
        return AttemptRecord(
            number=self.number,
            deployment=deployment.id,
            provider=deployment.provider,
            model=self.candidate.model,
            at=self.at,
            outcome=self.outcome,
            status=self.status,
            error=self.error,
            duration_s=self.duration_s,
            is_estimated=self.is_estimated,
        )


class Passage:
    """One exchange on its way through the house. Times on the monotonic clock unless named `_at`."""

    __slots__ = (
        "accepted",
        "accepted_at",
        "attempts",
        "bound_nanousd",
        "config",
        "cost_nanousd",
        "cover",
        "dialect",
        "door",
        "dropped",
        "end_user",
        "ended_by",
        "error",
        "error_message",
        "finish_reason",
        "first_byte",
        "id",
        "is_handed_on",
        "is_stream",
        "lease",
        "mirrors",
        "model",
        "operation",
        "outcome",
        "peer",
        "principal",
        "purses",
        "replays",
        "request_bytes",
        "reserved_nanousd",
        "response_bytes",
        "route",
        "status",
        "stream_kind",
        "tags",
        "upstream_s",
        "usage",
    )

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - it is the record's field
        accepted_at: float,
        accepted: float,
        operation: Operation,
        door: str,
        peer: str,
        config: str,
        dialect: str = "",
        mirrors: str | None = None,
    ) -> None:
        self.id = id
        self.accepted_at = accepted_at
        self.accepted = accepted
        self.operation = operation
        self.door = door
        self.peer = peer
        self.config = config
        self.dialect = dialect
        """The wire API of the door."""
        self.mirrors = mirrors
        """The exchange this one is a copy of."""
        self.replays: str | None = None
        """The exchange whose recorded answer is given."""
        self.principal: Principal | None = None
        self.route: str | None = None
        self.model: str | None = None
        self.is_stream = False
        self.is_handed_on = False
        """Whether it runs by itself, and settles by itself, whatever becomes of the caller who began it."""
        self.stream_kind = EVENTS
        """The form the caller expects a stream in, where the call is one."""
        self.attempts: list[Attempt] = []
        self.outcome = Outcome.OPEN
        self.status: int | None = None
        self.error: str | None = None
        self.error_message: str | None = None
        self.ended_by: GatewayError | None = None
        """Why the house ends it before it is done, where its key is the reason."""
        self.dropped: tuple[str, ...] = ()
        self.usage: Usage | None = None
        self.end_user: str | None = None
        self.tags: tuple[str, ...] = ()
        self.lease: Lease | None = None
        """What has been set aside for it."""
        self.purses: tuple[str, ...] = ()
        """The budget counters it is charged to."""
        self.bound_nanousd = 0
        """The most that one attempt of it can cost, where a budget pays for it."""
        self.reserved_nanousd = 0
        """What has been set aside in each of its purses."""
        self.cover: Callable[[int], Awaitable[None]] | None = None
        """To be awaited before every attempt, where a budget pays for it, with how many tokens the house has added to
        what the caller said: see stages.admit."""
        self.cost_nanousd: int | None = None
        """What it cost; None where that is not known."""
        self.finish_reason: str | None = None
        self.first_byte: float | None = None
        self.upstream_s = 0.0
        self.request_bytes = 0
        self.response_bytes = 0

    def begin_attempt(self, candidate: Candidate, at: float, now: float) -> Attempt:
        """The next upstream call is about to be made."""
        attempt = Attempt(len(self.attempts) + 1, candidate, at, now)
        self.attempts.append(attempt)
        return attempt

    @property
    def charged_nanousd(self) -> int | None:
        """What each purse is charged: what has been reserved while it goes on, and in the end its cost, with the bound
        for every attempt of which nobody knows what it cost."""
        if not self.purses:
            return None
        if self.outcome is Outcome.OPEN:
            return self.reserved_nanousd
        lost = sum([attempt.is_estimated for attempt in self.attempts]) * self.bound_nanousd
        if not self.attempts or self.attempts[-1].is_estimated or not self.is_answered:
            return lost
        cost = self.cost_nanousd
        if self.usage is not None and self.usage.source is UsageSource.REPORTED and cost is not None:
            return lost + cost
        return lost + max(cost or 0, self.bound_nanousd)

    @property
    def is_answered(self) -> bool:
        """Whether the last attempt was answered by what has to be paid for."""
        status = self.attempts[-1].status if self.attempts else None
        return status is not None and 200 <= status < 300

    @property
    def has_reached_an_upstream(self) -> bool:
        """Whether one of the attempts was sent, as far as anybody knows."""
        return any(
            attempt.status is not None or attempt.is_estimated or attempt.outcome is Outcome.OK
            for attempt in self.attempts
        )

    def record(self, now: float | None = None) -> ExchangeRecord:
        """The row as of now; `now` is the monotonic moment the exchange ended, None while it goes on."""
        principal = self.principal
        deployment = self.attempts[-1].candidate.deployment if self.attempts else None
        return ExchangeRecord(
            id=self.id,
            at=self.accepted_at,
            operation=self.operation,
            door=self.door[:_LONGEST_TEXT],
            caller=Caller(peer=self.peer)
            if principal is None
            else Caller(
                key_id=principal.key_id, key_name=principal.key_name, team=principal.team, peer=self.peer
            ),
            route=self.route,
            deployment=deployment.id if deployment is not None else None,
            provider=deployment.provider if deployment is not None else None,
            model=self.model[:_LONGEST_TEXT] if self.model is not None else None,
            is_stream=self.is_stream,
            outcome=self.outcome,
            status=self.status,
            error=self.error,
            error_message=self.error_message[:_LONGEST_MESSAGE] if self.error_message is not None else None,
            attempts=tuple([attempt.record() for attempt in self.attempts]),
            usage=self.usage,
            dropped=self.dropped,
            finish_reason=self.finish_reason,
            duration_s=now - self.accepted if now is not None else None,
            first_byte_s=self.first_byte - self.accepted if self.first_byte is not None else None,
            upstream_s=self.upstream_s if self.attempts else None,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            config=self.config,
            mirrors=self.mirrors,
            replays=self.replays,
            cost_nanousd=self.cost_nanousd,
            end_user=self.end_user,
            tags=self.tags,
            purses=self.purses,
            charged_nanousd=self.charged_nanousd,
        )
