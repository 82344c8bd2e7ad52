"""Whether a failed attempt is followed by another, where and when: one pure function."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.routing import Plan, Replay
from tollhouse.ports.transport import Phase

_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0
_LONGEST_RETRY_AFTER_S: Final = 5.0
"""A provider that asks for more patience than this is told to the caller instead of being waited for."""
_BAD_ANSWERS: Final = frozenset(
    [ErrorKind.UPSTREAM_UNAVAILABLE, ErrorKind.UPSTREAM_INVALID_RESPONSE, ErrorKind.UPSTREAM_RATE_LIMITED]
)


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
    plan: Plan, attempts: int, index: int, failure: Failure, *, now: float, draw: float
) -> Step | None:
    """Whether and where to try again after `attempts` attempts, the last at candidate `index`; None to give up.

    Full jitter: the wait is drawn from [0, bound), the bound doubling with each turn. `draw` is in [0, 1).
    """
    if attempts >= plan.route.retry.max_attempts:
        return None
    following = (index + 1) % len(plan.candidates)
    if not _may_repeat(failure, plan.route.retry.replay, is_elsewhere=following != index):
        return None
    turn = attempts // len(plan.candidates)
    delay_s = draw * min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2**turn) if turn else 0.0
    asked_s = failure.error.retry_after_s
    if asked_s is not None and following == index:
        if asked_s > _LONGEST_RETRY_AFTER_S:
            return None
        delay_s += asked_s
    return Step(following, delay_s) if now + delay_s < plan.deadline else None


def _may_repeat(failure: Failure, replay: Replay, *, is_elsewhere: bool) -> bool:
    if failure.error.kind is ErrorKind.TIMEOUT_TOTAL:
        return False
    if failure.status is not None:
        return failure.status in (408, 429) or failure.status >= 500
    match failure.phase:
        case Phase.NOT_SENT:
            return True
        case Phase.SENT:
            lost = failure.error.kind is ErrorKind.UPSTREAM_UNAVAILABLE
            return lost and replay is Replay.UNTIL_HEADERS
        case Phase.STARTED:
            # The same upstream would be asked to do again what it has begun; another one may be asked.
            return is_elsewhere and failure.error.kind in _BAD_ANSWERS
