"""What may be tried again: DESIGN rule 5 as a table, and what holds for every failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.routing import Candidate, Deployment, Plan, Replay, RetryPolicy, Route
from tollhouse.ports.transport import Phase
from tollhouse.stages.dispatch import Failure, Step, next_step


def plan(
    candidates: int = 1, *, attempts: int = 3, replay: Replay = Replay.UNTIL_HEADERS, deadline: float = 100.0
) -> Plan:
    deployments = tuple(Deployment(id=f"p/{i}", provider="p", model=str(i)) for i in range(candidates))
    route = Route(name="r", deployments=deployments, retry=RetryPolicy(max_attempts=attempts, replay=replay))
    return Plan(
        route=route,
        candidates=tuple(Candidate(deployment=d, model=d.model) for d in deployments),
        deadline=deadline,
    )


def failure(
    kind: ErrorKind = ErrorKind.UPSTREAM_UNAVAILABLE,
    phase: Phase = Phase.STARTED,
    status: int | None = None,
    retry_after_s: float | None = None,
) -> Failure:
    error = GatewayError(kind, "failed", blame=Blame.UPSTREAM, retry_after_s=retry_after_s)
    return Failure(error=error, phase=phase, status=status)


@pytest.mark.parametrize(
    ("failed", "again"),
    [
        (failure(phase=Phase.NOT_SENT), True),
        (failure(ErrorKind.TIMEOUT_CONNECT, Phase.NOT_SENT), True),
        (failure(ErrorKind.TIMEOUT_TLS, Phase.NOT_SENT), True),
        (failure(phase=Phase.SENT), True),
        (failure(ErrorKind.TIMEOUT_FIRST_HEADER, Phase.SENT), False),
        (failure(ErrorKind.TIMEOUT_TOTAL, Phase.NOT_SENT), False),
        (failure(status=408), True),
        (failure(ErrorKind.UPSTREAM_RATE_LIMITED, status=429), True),
        (failure(status=500), True),
        (failure(status=529), True),
        (failure(ErrorKind.INVALID_REQUEST, status=400), False),
        (failure(status=401), False),
        (failure(ErrorKind.ROUTE_NOT_FOUND, status=404), False),
        (failure(status=409), False),
        (failure(phase=Phase.STARTED), False),
        (failure(ErrorKind.UPSTREAM_INVALID_RESPONSE), False),
        (failure(ErrorKind.TIMEOUT_FIRST_TOKEN), False),
        (failure(ErrorKind.TIMEOUT_IDLE), False),
    ],
    ids=lambda value: (
        f"{value.error.kind}-{value.phase}-{value.status}" if isinstance(value, Failure) else str(value)
    ),
)
def test_single_deployment_is_called_again_only_for_what_the_rule_names(failed: Failure, again: bool) -> None:
    assert (next_step(plan(), 1, 0, failed, now=0, draw=0.5) is not None) == again


def test_uncertain_call_is_not_replayed_where_the_operator_says_never() -> None:
    assert next_step(plan(replay=Replay.NEVER), 1, 0, failure(phase=Phase.SENT), now=0, draw=0) is None
    assert (
        next_step(plan(replay=Replay.NEVER), 1, 0, failure(phase=Phase.NOT_SENT), now=0, draw=0) is not None
    )


def test_bad_answer_before_content_moves_on_to_another_candidate_only() -> None:
    bad = failure(ErrorKind.UPSTREAM_INVALID_RESPONSE)
    assert next_step(plan(2), 1, 0, bad, now=0, draw=0) == Step(1, 0.0)
    assert next_step(plan(1), 1, 0, bad, now=0, draw=0) is None


def test_other_candidate_is_called_without_waiting_and_the_first_again_with() -> None:
    refused = failure(phase=Phase.NOT_SENT)
    assert next_step(plan(2), 1, 0, refused, now=0, draw=0.9) == Step(1, 0.0)
    back = next_step(plan(2), 2, 1, refused, now=0, draw=0.9)
    assert back is not None
    assert (back.index, back.delay_s > 0) == (0, True)


def test_retry_after_is_waited_for_when_short_and_told_to_the_caller_when_long() -> None:
    limited = failure(ErrorKind.UPSTREAM_RATE_LIMITED, status=429, retry_after_s=1)
    step = next_step(plan(), 1, 0, limited, now=0, draw=0)
    assert step is not None
    assert step.delay_s >= 1
    patient = failure(ErrorKind.UPSTREAM_RATE_LIMITED, status=429, retry_after_s=60)
    assert next_step(plan(), 1, 0, patient, now=0, draw=0) is None
    assert next_step(plan(2), 1, 0, patient, now=0, draw=0) == Step(1, 0.0)


failures = st.builds(
    failure,
    kind=st.sampled_from(ErrorKind),
    phase=st.sampled_from(Phase),
    status=st.none() | st.integers(300, 599),
    retry_after_s=st.none() | st.floats(0, 100),
)


@given(
    failures,
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 8),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 200),
)
def test_attempts_and_time_are_never_exceeded(
    failed: Failure, candidates: int, budget: int, attempts: int, draw: float, now: float
) -> None:
    chosen = plan(candidates, attempts=budget)
    step = next_step(chosen, attempts, (attempts - 1) % candidates, failed, now=now, draw=draw)
    if step is not None:
        assert attempts < budget
        assert 0 <= step.index < candidates
        assert now + step.delay_s < chosen.deadline
        assert 0 <= step.delay_s <= 7.0
