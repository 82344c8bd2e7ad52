"""What may be tried again, where and when: DESIGN rule 5 as a table, fallbacks by cause, and what holds for all."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.balancing import Refusal, Shut, Verdict
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.routing import Candidate, Cause, Deployment, Plan, Replay, RetryPolicy, Route, Timeouts
from tollhouse.ports.transport import Phase
from tollhouse.stages.dispatch import Failure, Step, first_choice, next_step
from tollhouse.stages.dispatch.next_step import askable, verdict_of

FALLBACK = {"r": frozenset([Cause.OUTAGE, Cause.RATE_LIMIT])}


def plan(
    candidates: int = 1,
    *fallbacks: Mapping[str, frozenset[Cause]],
    attempts: int = 3,
    replay: Replay = Replay.UNTIL_HEADERS,
    deadline: float = 100.0,
    longest_wait_s: float = 30.0,
    timeouts: Timeouts | None = None,
) -> Plan:
    """A plan over the route `r` with so many deployments, and one more for each fallback, named by what leads to it."""
    deployments = tuple(
        Deployment(id=f"p/{i}", provider="p", model=str(i)) for i in range(candidates + len(fallbacks))
    )
    retry = RetryPolicy(max_attempts=attempts, replay=replay, longest_wait_s=longest_wait_s)
    own = [Candidate(deployment=d, model=d.model, route="r") for d in deployments[:candidates]]
    others = [
        Candidate(deployment=d, model=d.model, route=f"f{place}", after=after)
        for place, (d, after) in enumerate(zip(deployments[candidates:], fallbacks, strict=True))
    ]
    return Plan(
        route=Route(name="r", deployments=deployments[:candidates], retry=retry),
        candidates=(*own, *others),
        deadline=deadline,
        timeouts=timeouts or Timeouts(),
    )


def failure(
    kind: ErrorKind = ErrorKind.UPSTREAM_UNAVAILABLE,
    phase: Phase = Phase.STARTED,
    status: int | None = None,
    retry_after_s: float | None = None,
) -> Failure:
    error = GatewayError(kind, "failed", blame=Blame.UPSTREAM, retry_after_s=retry_after_s)
    return Failure(error=error, phase=phase, status=status)


def step_after(plan: Plan, failed: Failure, *tried: int, **more: Any) -> Step | None:
    return next_step(
        plan,
        tried or (0,),
        failed,
        **{"shut": {}, "may_repeat": lambda _: True, "now": 0.0, "draw": 0.5} | more,
    )


RATE_LIMITED = failure(ErrorKind.UPSTREAM_RATE_LIMITED, status=429)
OVERFLOW = failure(ErrorKind.CONTEXT_LENGTH_EXCEEDED, status=400)
FILTERED = failure(ErrorKind.CONTENT_BLOCKED, status=400)


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
        (RATE_LIMITED, True),
        (failure(ErrorKind.UPSTREAM_RATE_LIMITED, status=413), True),
        (failure(status=500), True),
        (failure(status=529), True),
        (failure(ErrorKind.INVALID_REQUEST, status=400), False),
        (failure(ErrorKind.CONTEXT_LENGTH_EXCEEDED, status=500), False),
        (failure(status=401), False),
        (failure(ErrorKind.ROUTE_NOT_FOUND, status=404), False),
        (failure(status=409), False),
        (failure(phase=Phase.STARTED), False),
        (failure(ErrorKind.UPSTREAM_INVALID_RESPONSE), False),
        (failure(ErrorKind.TIMEOUT_FIRST_TOKEN), False),
        (failure(ErrorKind.TIMEOUT_IDLE), False),
        (OVERFLOW, False),
        (FILTERED, False),
        (failure(ErrorKind.INTERNAL, Phase.NOT_SENT), False),
        (failure(ErrorKind.OVERLOADED, Phase.NOT_SENT), False),
    ],
    ids=lambda value: (
        f"{value.error.kind}-{value.phase}-{value.status}" if isinstance(value, Failure) else str(value)
    ),
)
def test_single_deployment_is_called_again_only_for_what_the_rule_names(failed: Failure, again: bool) -> None:
    assert (step_after(plan(), failed) is not None) == again


def test_uncertain_call_is_replayed_nowhere_where_the_operator_says_never() -> None:
    for phase, may in ((Phase.SENT, False), (Phase.STARTED, False), (Phase.NOT_SENT, True)):
        assert (step_after(plan(2, replay=Replay.NEVER), failure(phase=phase)) is not None) == may
        assert (step_after(plan(1, FALLBACK, replay=Replay.NEVER), failure(phase=phase)) is not None) == may


@pytest.mark.parametrize(
    "failed",
    [
        failure(ErrorKind.UPSTREAM_INVALID_RESPONSE),
        failure(ErrorKind.TIMEOUT_FIRST_TOKEN),
        failure(ErrorKind.TIMEOUT_FIRST_HEADER, Phase.SENT),
    ],
)
def test_bad_answer_before_content_moves_on_to_another_candidate_only(failed: Failure) -> None:
    assert step_after(plan(2), failed) == Step(1, 0.0)
    assert step_after(plan(1, FALLBACK), failed) == Step(1, 0.0)
    assert step_after(plan(1), failed) is None


def test_other_candidate_is_called_without_waiting_and_the_first_again_with() -> None:
    refused = failure(phase=Phase.NOT_SENT)
    assert step_after(plan(2), refused) == Step(1, 0.0)
    back = step_after(plan(2), refused, 0, 1)
    assert back is not None
    assert (back.index, back.delay_s > 0) == (0, True)


def test_nobody_is_asked_again_whose_budget_of_retries_is_spent() -> None:
    assert step_after(plan(), failure(status=500), may_repeat=lambda _: False) is None
    assert step_after(plan(2), failure(status=500), may_repeat=lambda _: False) == Step(1, 0.0)


def test_budget_that_counts_is_that_of_who_would_be_asked_again() -> None:
    failed = failure(phase=Phase.NOT_SENT)
    step = step_after(plan(2), failed, 0, 1, may_repeat=lambda index: index == 1)
    assert step is not None
    assert step.index == 1


def test_retry_after_is_waited_for_within_bounds_and_told_to_the_caller_beyond() -> None:
    def asks(seconds: float) -> Failure:
        return failure(ErrorKind.UPSTREAM_RATE_LIMITED, status=429, retry_after_s=seconds)

    def cools(seconds: float) -> dict[int, Refusal]:
        return {0: Refusal(Shut.COOLING, seconds)}

    step = step_after(plan(), asks(7), shut=cools(7), draw=0)
    assert step == Step(0, 7.0)
    assert step_after(plan(), asks(60), shut=cools(60)) is None
    assert step_after(plan(deadline=5), asks(7), shut=cools(7)) is None
    assert step_after(plan(2), asks(60), shut=cools(60)) == Step(1, 0.0)


def test_provider_that_asks_for_no_patience_is_still_not_asked_at_once_by_everybody() -> None:
    step = step_after(plan(), failure(status=503, retry_after_s=0.0))
    assert step is not None
    assert step.delay_s > 0


def test_deployment_whose_breaker_has_opened_is_not_asked_again() -> None:
    assert step_after(plan(), failure(status=500), shut={0: Refusal(Shut.OPEN, 1.0)}) is None
    assert step_after(plan(2), failure(status=500), shut={1: Refusal(Shut.OPEN, 1.0)}) is not None


@pytest.mark.parametrize(
    ("failed", "cause"),
    [
        (failure(status=503), Cause.OUTAGE),
        (failure(phase=Phase.NOT_SENT), Cause.OUTAGE),
        (failure(ErrorKind.TIMEOUT_FIRST_TOKEN), Cause.OUTAGE),
        (RATE_LIMITED, Cause.RATE_LIMIT),
        (OVERFLOW, Cause.CONTEXT_OVERFLOW),
        (FILTERED, Cause.CONTENT_FILTER),
    ],
)
def test_fallback_is_asked_for_its_causes_and_no_others(failed: Failure, cause: Cause) -> None:
    for leads in Cause:
        step = step_after(plan(1, {"r": frozenset([leads])}, attempts=2), failed, may_repeat=lambda _: False)
        assert (step == Step(1, 0.0)) == (leads is cause)


def test_overflow_is_not_asked_of_the_routes_own_others() -> None:
    assert step_after(plan(3), OVERFLOW) is None
    assert step_after(plan(3, {"r": frozenset([Cause.CONTEXT_OVERFLOW])}), OVERFLOW) == Step(3, 0.0)


def test_fallback_that_fails_leads_to_what_may_follow_it() -> None:
    overflows_after_f0 = {"f0": frozenset([Cause.CONTEXT_OVERFLOW])}
    chain = plan(1, FALLBACK, overflows_after_f0)
    assert step_after(chain, failure(status=500)) == Step(1, 0.0)
    assert step_after(chain, OVERFLOW, 0, 1) == Step(2, 0.0)
    assert step_after(chain, OVERFLOW, 0) is None


def test_first_choice_is_the_first_that_is_open() -> None:
    busy = Refusal(Shut.FULL, 0.0)
    assert first_choice(plan(3), {}) == 0
    assert first_choice(plan(3), {0: busy}) == 1
    assert first_choice(plan(3), {}, untold=[0, 1]) == 2
    assert first_choice(plan(2), {0: busy, 1: busy}) is None


def test_fallbacks_are_asked_first_where_none_of_the_routes_own_can_go_on() -> None:
    whole = plan(1, FALLBACK, {"f0": frozenset([Cause.OUTAGE])})
    left = replace(whole, candidates=whole.candidates[1:])
    assert first_choice(left, {}) == 0
    assert first_choice(left, {0: Refusal(Shut.OPEN, 1.0)}) == 1
    assert first_choice(left, {0: Refusal(Shut.FULL, 1.0)}) is None


def test_nobody_is_to_be_asked_first_but_the_routes_own_and_fallbacks_with_a_cause() -> None:
    chain = plan(2, FALLBACK, {"r": frozenset([Cause.CONTEXT_OVERFLOW])})
    down = {index: Refusal(Shut.OPEN, 4.0 - index) for index in range(4)}
    assert [*askable(chain, down)] == [0, 1, 2]
    assert [*askable(chain, {3: down[3]})] == [0, 1]


@pytest.mark.parametrize(
    ("why", "cause"),
    [
        (Shut.OPEN, Cause.OUTAGE),
        (Shut.PROBING, Cause.OUTAGE),
        (Shut.COOLING, Cause.RATE_LIMIT),
        (Shut.FULL, Cause.RATE_LIMIT),
    ],
)
def test_fallback_is_the_first_choice_where_all_are_shut_for_its_cause(why: Shut, cause: Cause) -> None:
    for leads in Cause:
        chosen = first_choice(plan(1, {"r": frozenset([leads])}), {0: Refusal(why, 1.0)})
        assert (chosen == 1) == (leads is cause)


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (failure(status=500), Verdict.BAD),
        (failure(phase=Phase.NOT_SENT), Verdict.BAD),
        (failure(ErrorKind.TIMEOUT_IDLE), Verdict.BAD),
        (failure(ErrorKind.UPSTREAM_INVALID_RESPONSE), Verdict.BAD),
        (RATE_LIMITED, Verdict.LIMITED),
        (failure(ErrorKind.ROUTE_NOT_FOUND, status=404), Verdict.NEUTRAL),
        (failure(status=401), Verdict.NEUTRAL),
        (OVERFLOW, Verdict.NEUTRAL),
        (FILTERED, Verdict.NEUTRAL),
        (failure(ErrorKind.TIMEOUT_TOTAL), Verdict.NEUTRAL),
        (failure(ErrorKind.OVERLOADED, Phase.NOT_SENT), Verdict.NEUTRAL),
        (failure(ErrorKind.INTERNAL), Verdict.NEUTRAL),
    ],
)
def test_only_signs_of_health_count_for_it(failed: Failure, verdict: Verdict) -> None:
    assert verdict_of(failed, plan()) is verdict


def test_clock_that_the_caller_has_shortened_says_nothing_about_health() -> None:
    ran_out = failure(ErrorKind.TIMEOUT_FIRST_TOKEN)
    assert verdict_of(ran_out, plan(timeouts=Timeouts(first_token_s=1.0))) is Verdict.NEUTRAL
    assert verdict_of(ran_out, plan(timeouts=Timeouts(idle_s=1.0))) is Verdict.BAD


def test_operators_clock_for_the_whole_call_counts_where_one_attempt_had_most_of_it_and_heard_nothing() -> (
    None
):
    silent = failure(ErrorKind.TIMEOUT_TOTAL, Phase.SENT)
    assert verdict_of(silent, plan(), 590.0) is Verdict.BAD
    assert verdict_of(silent, plan(), 60.0) is Verdict.NEUTRAL
    assert verdict_of(silent, plan(timeouts=Timeouts(total_s=500.0)), 500.0) is Verdict.NEUTRAL
    assert verdict_of(failure(ErrorKind.TIMEOUT_TOTAL, Phase.STARTED), plan(), 590.0) is Verdict.NEUTRAL


failures = st.builds(
    failure,
    kind=st.sampled_from(ErrorKind),
    phase=st.sampled_from(Phase),
    status=st.none() | st.integers(300, 599),
    retry_after_s=st.none() | st.floats(0, 100),
)
refusals = st.builds(Refusal, st.sampled_from(Shut), st.floats(0, 300) | st.just(inf))
causes = st.dictionaries(st.sampled_from(["r", "f0", "f1"]), st.frozensets(st.sampled_from(Cause)))


@given(st.data(), failures, st.integers(1, 4), st.lists(causes, max_size=3), st.integers(1, 6))
def test_attempts_time_and_shut_doors_are_respected_by_every_step(
    data: st.DataObject, failed: Failure, own: int, fallbacks: list[dict[str, frozenset[Cause]]], budget: int
) -> None:
    chosen = plan(own, *fallbacks, attempts=budget)
    places = st.integers(0, len(chosen.candidates) - 1)
    tried = data.draw(st.lists(places, min_size=1, max_size=8))
    shut = data.draw(st.dictionaries(places, refusals))
    now, draw = data.draw(st.floats(0, 200)), data.draw(st.floats(0, 1, exclude_max=True))
    step = next_step(chosen, tried, failed, shut=shut, may_repeat=lambda _: True, now=now, draw=draw)
    if step is None:
        return
    assert len(tried) < budget
    assert now + step.delay_s < chosen.deadline
    assert 0 <= step.delay_s <= 32.0
    if step.index in shut:
        assert shut[step.index].why is Shut.COOLING
        assert now + step.delay_s >= shut[step.index].until
    if step.index not in tried:
        assert step.delay_s == 0.0
