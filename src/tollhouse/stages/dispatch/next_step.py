"""Whether a failed attempt is followed by another, where and when: pure functions.

What may be tried again at all is DESIGN rule 5: lost connections before the first byte of an answer, 408, 429 and 5xx.
A first answer that turned out bad before any content left may also be asked of somebody else. What is the caller's own
fault never is: a request that overflows or is filtered is only asked of the routes that are there for that.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from tollhouse.balancing import Refusal, Shut, Verdict
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.routing import Candidate, Cause, Plan, Replay
from tollhouse.ports.transport import Phase

_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0
_SPREAD: Final = 0.05
_OUTAGES: Final = frozenset(
    [
        ErrorKind.UPSTREAM_UNAVAILABLE,
        ErrorKind.UPSTREAM_INVALID_RESPONSE,
        ErrorKind.TIMEOUT_CONNECT,
        ErrorKind.TIMEOUT_TLS,
        ErrorKind.TIMEOUT_FIRST_HEADER,
        ErrorKind.TIMEOUT_FIRST_TOKEN,
        ErrorKind.TIMEOUT_IDLE,
    ]
)
_ASKED_AGAIN: Final = frozenset([Cause.OUTAGE, Cause.RATE_LIMIT])
"""Causes that lie with who was asked. The others lie with the request, which stays what it is."""
_CLOCKS: Final = {
    ErrorKind.TIMEOUT_CONNECT: "connect_s",
    ErrorKind.TIMEOUT_TLS: "tls_s",
    ErrorKind.TIMEOUT_FIRST_HEADER: "first_header_s",
    ErrorKind.TIMEOUT_FIRST_TOKEN: "first_token_s",
    ErrorKind.TIMEOUT_IDLE: "idle_s",
    ErrorKind.TIMEOUT_TOTAL: "total_s",
}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt did not lead to an answer."""

    error: GatewayError
    phase: Phase
    """How far the call had come; `started` also where a whole answer was bad."""
    status: int | None = None
    """The upstream's, where its answer was an error."""


class Step(msgspec.Struct, frozen=True):
    """What to do after a failure: the candidate to call and how long to wait before."""

    index: int
    delay_s: float


def next_step(
    plan: Plan,
    tried: Sequence[int],
    failure: Failure,
    *,
    shut: Mapping[int, Refusal],
    may_repeat: Callable[[int], bool],
    now: float,
    draw: float,
) -> Step | None:
    """Whether and where to try again; None to give up.

    `tried` are the candidates of the attempts so far, the last one failed with `failure`. `shut` says of whom nothing
    is to be had now, or never; `may_repeat` whether a candidate's budget of retries has room. `draw` is in [0, 1).
    Others are asked at once; the same one again after a wait drawn from [0, bound), the bound doubling each time (full
    jitter), and not before the provider wants it.
    """
    if len(tried) >= plan.route.retry.max_attempts or now >= plan.deadline:
        return None
    cause = cause_of(failure)
    if cause is None:
        return None
    last = tried[-1]
    route = plan.candidates[last].route
    for index, candidate in enumerate(plan.candidates):
        if index not in tried and index not in shut and _may_follow(candidate, route, cause, failure, plan):
            return Step(index, 0.0)
    if is_final(failure, plan):
        return None
    return _again(plan, [index for index in tried if may_repeat(index)], failure, shut, last, now, draw)


def is_final(failure: Failure, plan: Plan) -> bool:
    """Whether who failed so is not asked again in this call."""
    return cause_of(failure) not in _ASKED_AGAIN or not _is_repeatable(failure, plan.route.retry.replay)


def _again(
    plan: Plan,
    tried: Sequence[int],
    failure: Failure,
    shut: Mapping[int, Refusal],
    last: int,
    now: float,
    draw: float,
) -> Step | None:
    """One that has been tried already: of those that are open the one tried longest ago, else the one that fails least
    long."""
    turn = tried.count(last)
    delay_s = draw * min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2**turn)
    ready = [index for index in dict.fromkeys(tried) if index not in shut]
    if ready:
        index = min(ready, key=lambda each: _last_place(tried, each))
        asked_s = failure.error.retry_after_s if index == last else None
    else:
        cooling = {
            index: refusal.until for index in tried if (refusal := shut.get(index)) and _cools(refusal)
        }
        if not cooling:
            return None
        index = min(cooling, key=lambda each: cooling[each])
        asked_s = max(cooling[index] - now, 0.0)
    if asked_s is not None:
        if asked_s > plan.route.retry.longest_wait_s:
            return None
        # Who was told when to come comes then, and not all in the same moment.
        delay_s = max(delay_s, asked_s * (1 + _SPREAD * draw))
    return Step(index, delay_s) if now + delay_s < plan.deadline else None


def _cools(refusal: Refusal) -> bool:
    return refusal.why is Shut.COOLING


def _last_place(tried: Sequence[int], index: int) -> int:
    return max(place for place, each in enumerate(tried) if each == index)


def first_choice(plan: Plan, shut: Mapping[int, Refusal], untold: Container[int] = ()) -> int | None:
    """Who is asked first: the first of the route's own that is open and can be told what is asked; where none is, the
    first fallback for the reason they are shut; None where nobody is open."""
    for index in askable(plan, shut):
        if index not in shut and index not in untold:
            return index
    return None


def askable(plan: Plan, shut: Mapping[int, Refusal]) -> Iterator[int]:
    """The route's own, and the fallbacks for the reason those are shut. Where none of its own can go on with a
    conversation, the route of the first who can stands in for it."""
    own = plan.route.name
    if plan.candidates[0].route != own and all(candidate.route != own for candidate in plan.candidates):
        own = plan.candidates[0].route
    for index, candidate in enumerate(plan.candidates):
        if candidate.route == own or _causes(shut, plan, own) & candidate.after.get(own, frozenset()):
            yield index


def _causes(shut: Mapping[int, Refusal], plan: Plan, own: str) -> frozenset[Cause]:
    whys = {refusal.why for index, refusal in shut.items() if plan.candidates[index].route == own}
    causes = {Cause.OUTAGE if why in (Shut.OPEN, Shut.PROBING) else Cause.RATE_LIMIT for why in whys}
    return frozenset(causes)


def soonest(shut: Mapping[int, Refusal]) -> int:
    """Of those that are shut the one to recover first."""
    return min(shut, key=lambda index: (shut[index].until, index))


def cause_of(failure: Failure) -> Cause | None:
    """What kind of failure it is, as far as asking again goes; None where nobody else is to be asked either."""
    match failure.error.kind:
        case ErrorKind.CONTEXT_LENGTH_EXCEEDED:
            return Cause.CONTEXT_OVERFLOW
        case ErrorKind.CONTENT_BLOCKED:
            return Cause.CONTENT_FILTER
        case ErrorKind.UPSTREAM_RATE_LIMITED:
            return Cause.RATE_LIMIT
        case kind if kind in _OUTAGES and _is_failing(failure.status):
            return Cause.OUTAGE
    return None


def _is_failing(status: int | None) -> bool:
    """Of an upstream's statuses those that speak of it and not of the request."""
    return status is None or status == 408 or status >= 500 or 200 <= status < 300


def verdict_of(failure: Failure, plan: Plan, patience_s: float = 0.0) -> Verdict:
    """What a failure says about the health of who failed, for whom the call had `patience_s` seconds left at first. A
    clock that the caller has shortened says nothing."""
    clock = _CLOCKS.get(failure.error.kind)
    if clock is not None and getattr(plan.timeouts, clock) < getattr(plan.route.timeouts, clock):
        return Verdict.NEUTRAL
    cause = cause_of(failure)
    if cause is Cause.RATE_LIMIT:
        return Verdict.LIMITED
    return Verdict.BAD if cause is Cause.OUTAGE or _is_silent(failure, plan, patience_s) else Verdict.NEUTRAL


def _is_silent(failure: Failure, plan: Plan, patience_s: float) -> bool:
    """Whether nothing came for most of the time that the operator gives to a whole call."""
    is_unheard = failure.error.kind is ErrorKind.TIMEOUT_TOTAL and failure.phase is not Phase.STARTED
    return is_unheard and patience_s * 2 > plan.route.timeouts.total_s


def _may_follow(candidate: Candidate, failed: str, cause: Cause, failure: Failure, plan: Plan) -> bool:
    if cause in _ASKED_AGAIN:
        if not _may_move(failure, plan.route.retry.replay):
            return False
        if candidate.route == failed:
            return True
    return cause in candidate.after.get(failed, frozenset())


def _may_move(failure: Failure, replay: Replay) -> bool:
    """Whether somebody else may be asked the same. Where a call was sent and no error came back in answer, the work may
    have been done: that is a replay."""
    return failure.phase is Phase.NOT_SENT or failure.status is not None or replay is Replay.UNTIL_HEADERS


def _is_repeatable(failure: Failure, replay: Replay) -> bool:
    """Whether the same one may be asked again: rule 5, word for word."""
    if failure.status is not None:
        return failure.error.kind is ErrorKind.UPSTREAM_RATE_LIMITED or _is_failing(failure.status)
    match failure.phase:
        case Phase.NOT_SENT:
            return True
        case Phase.SENT:
            lost = failure.error.kind is ErrorKind.UPSTREAM_UNAVAILABLE
            return lost and replay is Replay.UNTIL_HEADERS
    return False
