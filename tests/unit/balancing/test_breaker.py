"""A breaker opens on what tells of bad health, and closes when a probe has gone well."""

from __future__ import annotations

import pytest

from tollhouse.balancing import Permit, Refusal, Shut, Standing, Standings, State, Verdict
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker
from unit.balancing.deployments import CHAT, begin, break_open, call, deployment, standing_alone


def state(standing: Standing, now: float, kind: Operation = CHAT) -> State:
    return {view.kind: view.state for view in standing.view(now).kinds}[kind]


def rest_s(standing: Standing, now: float) -> float:
    refusal = standing.refusal(CHAT, now)
    assert refusal is not None
    assert refusal.why is Shut.OPEN
    return refusal.until - now


def test_breaker_opens_after_so_many_failures_in_a_row() -> None:
    standing = standing_alone(breaker=Breaker(consecutive_failures=3))
    call(standing, Verdict.BAD, 100.0, times=2)
    assert standing.refusal(CHAT, 100.0) is None
    call(standing, Verdict.BAD, 100.0)
    refusal = standing.try_begin(CHAT, 100.0)
    assert isinstance(refusal, Refusal)
    assert refusal.why is Shut.OPEN
    assert 100.8 <= refusal.until <= 101.2


def test_success_in_between_begins_the_row_anew() -> None:
    standing = standing_alone(breaker=Breaker(consecutive_failures=3))
    for _ in range(50):
        call(standing, Verdict.BAD, 100.0, times=2)
        call(standing, Verdict.GOOD, 100.0)
    assert state(standing, 100.0) is State.CLOSED


@pytest.mark.parametrize("verdict", [Verdict.NEUTRAL, Verdict.LIMITED])
def test_verdicts_that_say_nothing_of_health_neither_lengthen_the_row_nor_end_it(verdict: Verdict) -> None:
    standing = standing_alone(breaker=Breaker(consecutive_failures=3))
    now = 100.0
    for _ in range(2):
        call(standing, Verdict.BAD, now)
        call(standing, verdict, now)
        now += 10
    assert state(standing, now) is State.CLOSED
    call(standing, Verdict.BAD, now)
    assert state(standing, now) is State.OPEN


def test_hundreds_of_client_errors_never_open_it() -> None:
    standing = standing_alone()
    call(standing, Verdict.NEUTRAL, 100.0, times=500, kind=Operation.COUNT_TOKENS)
    call(standing, Verdict.NEUTRAL, 100.0, times=500)
    assert standing.refusal(CHAT, 100.0) is None
    assert standing.refusal(Operation.COUNT_TOKENS, 100.0) is None
    assert standing.view(100.0).failures == 0


def test_open_breaker_of_one_kind_of_call_leaves_the_others_alone() -> None:
    standing = standing_alone()
    break_open(standing, 100.0, kind=Operation.COUNT_TOKENS)
    assert standing.refusal(CHAT, 100.0) is None
    assert state(standing, 100.0, Operation.COUNT_TOKENS) is State.OPEN


def test_one_probe_is_let_through_when_the_rest_is_over() -> None:
    standing = standing_alone()
    break_open(standing, 100.0)
    assert state(standing, 102.0) is State.HALF_OPEN
    probe = begin(standing, 102.0)
    assert probe.is_probe
    assert standing.try_begin(CHAT, 102.5) == Refusal(Shut.PROBING, 102.5)
    probe.end(Verdict.GOOD, 103.0)
    assert state(standing, 103.0) is State.CLOSED
    assert not begin(standing, 103.0).is_probe


def test_failed_probes_double_the_rest_up_to_the_longest() -> None:
    standing = standing_alone(breaker=Breaker(open_s=1.0, longest_open_s=8.0))
    now = 100.0
    break_open(standing, now)
    rests = []
    for _ in range(60):
        rests.append(rest_s(standing, now))
        now += rests[-1]
        begin(standing, now).end(Verdict.BAD, now)
    spread = rests[0]
    assert 0.8 <= spread <= 1.2
    assert rests[:3] == pytest.approx([spread, 2 * spread, 4 * spread])
    assert rests[3:] == pytest.approx([min(8.0, 8 * spread)] * 57)


def test_rest_is_short_again_after_a_good_probe() -> None:
    standing = standing_alone()
    break_open(standing, 100.0)
    first = rest_s(standing, 100.0)
    begin(standing, 110.0).end(Verdict.BAD, 110.0)
    begin(standing, 120.0).end(Verdict.GOOD, 120.0)
    break_open(standing, 130.0)
    assert rest_s(standing, 130.0) == pytest.approx(first)


def test_rests_of_different_deployments_differ_and_repeat_themselves() -> None:
    def rests() -> list[float]:
        found = []
        for number in range(200):
            one = deployment(f"p{number}")
            standing = Standings().of(one, "m")
            break_open(standing, 0.0)
            found.append(rest_s(standing, 0.0))
        return found

    first = rests()
    assert first == rests()
    assert len(set(first)) == 200
    assert all(0.8 <= rest <= 1.2 for rest in first)
    assert min(first) < 0.85
    assert max(first) > 1.15


@pytest.mark.parametrize("verdict", [Verdict.NEUTRAL, Verdict.LIMITED])
def test_probe_without_a_verdict_makes_room_for_another(verdict: Verdict) -> None:
    standing = standing_alone()
    break_open(standing, 100.0)
    for turn in range(5):
        probe = begin(standing, 110.0 + 20 * turn)
        assert probe.is_probe
        probe.end(verdict, 111.0 + 20 * turn)
        assert standing.view(129.0 + 20 * turn).kinds[0].state is State.HALF_OPEN
    begin(standing, 300.0).end(Verdict.GOOD, 300.0)
    assert state(standing, 300.0) is State.CLOSED


def test_probe_that_has_begun_to_answer_closes_it_and_nobody_waits_for_its_end() -> None:
    standing = standing_alone()
    break_open(standing, 100.0)
    stream = begin(standing, 110.0)
    stream.heard(111.0)
    assert state(standing, 111.0) is State.CLOSED
    assert not begin(standing, 111.0).is_probe
    stream.end(Verdict.GOOD, 700.0)
    assert state(standing, 700.0) is State.CLOSED


def test_probe_that_dies_after_its_first_token_counts_as_a_failure_like_any_other() -> None:
    standing = standing_alone(breaker=Breaker(consecutive_failures=2))
    break_open(standing, 100.0)
    stream = begin(standing, 110.0)
    stream.heard(111.0)
    stream.end(Verdict.BAD, 112.0)
    assert state(standing, 112.0) is State.CLOSED
    call(standing, Verdict.BAD, 112.0)
    assert rest_s(standing, 112.0) <= 1.2


def test_late_failures_of_calls_begun_before_do_not_lengthen_the_rest() -> None:
    standing = standing_alone(breaker=Breaker(consecutive_failures=3))
    early = [begin(standing, 100.0) for _ in range(20)]
    for permit in early:
        permit.end(Verdict.BAD, 101.0)
    assert standing.view(101.0).ejections == 1
    assert rest_s(standing, 101.0) <= 1.2


def test_late_success_of_a_call_begun_before_does_not_close_it() -> None:
    standing = standing_alone()
    early = begin(standing, 100.0)
    break_open(standing, 100.0)
    early.end(Verdict.GOOD, 105.0)
    assert state(standing, 105.0) is State.HALF_OPEN


def test_late_failures_of_calls_begun_before_do_not_open_it_again_when_it_has_closed() -> None:
    standing = standing_alone()
    early = [begin(standing, 100.0) for _ in range(10)]
    break_open(standing, 100.0)
    begin(standing, 110.0).end(Verdict.GOOD, 110.0)
    for permit in early:
        permit.end(Verdict.BAD, 111.0)
    assert state(standing, 111.0) is State.CLOSED


def test_permit_counts_once_however_often_it_is_ended() -> None:
    standing = standing_alone(breaker=Breaker(consecutive_failures=3))
    freed = []
    standing.on_free = lambda: freed.append(standing.in_flight)
    permit = begin(standing, 100.0, is_repeat=True)
    for _ in range(10):
        permit.end(Verdict.BAD, 100.0)
        permit.end(Verdict.LIMITED, 100.0, 30.0)
        permit.heard(100.0)
    view = standing.view(100.0)
    assert (view.in_flight, view.repeats, view.failures, view.limited, view.latency_s) == (0, 0, 1, 0, None)
    assert freed == [0]


def test_forced_probe_is_one_at_a_time() -> None:
    standing = standing_alone()
    break_open(standing, 100.0)
    probe = standing.force(CHAT, 100.1)
    assert probe is not None
    assert probe.is_probe
    assert standing.force(CHAT, 100.1) is None
    probe.end(Verdict.NEUTRAL, 100.2)
    again = standing.force(CHAT, 100.2)
    assert again is not None
    again.end(Verdict.GOOD, 100.3)
    assert state(standing, 100.3) is State.CLOSED


def test_forced_probe_that_runs_on_is_the_probe_when_the_rest_is_over() -> None:
    standing = standing_alone()
    break_open(standing, 100.0)
    probe = standing.force(CHAT, 100.1)
    assert probe is not None
    assert standing.try_begin(CHAT, 110.0) == Refusal(Shut.PROBING, 110.0)
    probe.end(Verdict.BAD, 110.0)
    assert state(standing, 110.0) is State.OPEN


def test_force_goes_past_a_rate_limit_with_one_call_at_a_time() -> None:
    standing = standing_alone()
    call(standing, Verdict.LIMITED, 100.0, retry_after_s=30.0)
    forced = standing.force(CHAT, 101.0)
    assert forced is not None
    assert not forced.is_probe
    assert standing.force(CHAT, 101.0) is None
    assert standing.force(Operation.EMBEDDINGS, 101.0) is None
    forced.end(Verdict.LIMITED, 102.0, 60.0)
    assert standing.refusal(CHAT, 102.0) == Refusal(Shut.COOLING, 162.0)
    stream = standing.force(CHAT, 102.0)
    assert stream is not None
    stream.heard(103.0)
    assert standing.force(CHAT, 103.0) is not None


def test_force_does_not_go_past_the_limit_on_concurrency() -> None:
    full = standing_alone(max_concurrency=1)
    begin(full, 100.0)
    assert full.force(CHAT, 100.0) is None
    other = standing_alone(max_concurrency=2)
    begin(other, 100.0)
    break_open(other, 100.0)
    second = begin(other, 100.0, kind=Operation.EMBEDDINGS)
    assert other.force(CHAT, 100.0) is None
    second.end(Verdict.GOOD, 100.0)
    assert other.force(CHAT, 100.0) is not None


def test_force_is_an_ordinary_beginning_where_nothing_is_shut() -> None:
    permit = standing_alone().force(CHAT, 100.0)
    assert isinstance(permit, Permit)
    assert not permit.is_probe


def test_refusal_says_what_a_beginning_would_say_and_changes_nothing() -> None:
    standing = standing_alone(max_concurrency=1)
    before = standing.view(100.0)
    assert standing.refusal(CHAT, 100.0) is None
    assert standing.view(100.0) == before
    begin(standing, 100.0)
    assert standing.refusal(CHAT, 101.0) == standing.try_begin(CHAT, 101.0) == Refusal(Shut.FULL, 101.0)


class TestOutliers:
    breaker = Breaker(consecutive_failures=1000, failure_percent=50.0, minimum_calls=20)

    def house(self, size: int, **settings: float) -> list[Standing]:
        members = [deployment(f"p{number}") for number in range(size)]
        breaker = Breaker(consecutive_failures=1000, failure_percent=50.0, minimum_calls=20, **settings)
        standings = Standings()
        standings.configure({member.provider: breaker for member in members}, {"route": members})
        return [standings.of(member, "m") for member in members]

    def fail_by_half(self, standing: Standing, now: float) -> bool:
        """Whether it is out after 20 calls of which every other fails."""
        for _ in range(10):
            call(standing, Verdict.GOOD, now)
            call(standing, Verdict.BAD, now)
        return standing.refusal(CHAT, now) is not None

    def test_deployment_that_fails_by_half_is_out_among_others(self) -> None:
        assert self.fail_by_half(self.house(2)[0], 100.0)

    def test_share_counts_from_the_minimum_of_calls(self) -> None:
        one, _ = self.house(2)
        call(one, Verdict.BAD, 100.0, times=19)
        assert one.refusal(CHAT, 100.0) is None
        call(one, Verdict.BAD, 100.0)
        assert one.refusal(CHAT, 100.0) is not None

    def test_share_below_the_threshold_leaves_it_in(self) -> None:
        one, _ = self.house(2)
        for _ in range(100):
            call(one, Verdict.GOOD, 100.0, times=3)
            call(one, Verdict.BAD, 100.0, times=2)
        assert one.refusal(CHAT, 100.0) is None

    def test_failures_older_than_the_window_are_forgotten(self) -> None:
        one, _ = self.house(2, window_s=30.0)
        call(one, Verdict.BAD, 100.0, times=19)
        call(one, Verdict.GOOD, 131.0, times=19)
        call(one, Verdict.BAD, 131.0)
        assert one.refusal(CHAT, 131.0) is None
        recent = one.view(131.0).kinds[0]
        assert (recent.recent_calls, recent.recent_failures) == (20, 1)

    def test_failures_are_forgotten_little_by_little(self) -> None:
        one, _ = self.house(2, window_s=10.0)
        for second in range(10):
            call(one, Verdict.GOOD, 100.0 + second)
        assert [one.view(now).kinds[0].recent_calls for now in (109.5, 111.5, 114.5, 119.5)] == [10, 8, 5, 0]

    def test_idle_years_are_passed_over_at_once(self) -> None:
        one, _ = self.house(2)
        call(one, Verdict.BAD, 100.0)
        call(one, Verdict.GOOD, 1e15)
        assert one.view(1e15).kinds[0].recent_calls == 1

    def test_the_only_deployment_is_no_outlier(self) -> None:
        (one,) = self.house(1)
        assert not self.fail_by_half(one, 100.0)

    def test_deployment_without_a_route_is_no_outlier(self) -> None:
        standing = Standings().of(deployment("stray"), "m")
        for _ in range(100):
            call(standing, Verdict.GOOD, 100.0)
            call(standing, Verdict.BAD, 100.0)
        assert standing.refusal(CHAT, 100.0) is None

    @pytest.mark.parametrize(
        ("size", "percent", "most"),
        [(2, 50.0, 1), (3, 50.0, 1), (10, 50.0, 5), (10, 0.0, 1), (10, 100.0, 10)],
    )
    def test_no_more_than_the_bounded_share_is_out(self, size: int, percent: float, most: int) -> None:
        members = self.house(size, most_ejected_percent=percent)
        assert sum([self.fail_by_half(member, 100.0) for member in members]) == most

    def test_bound_holds_in_every_route_it_is_in(self) -> None:
        a, b, c = (deployment(name) for name in "abc")
        standings = Standings()
        standings.configure(dict.fromkeys("abc", self.breaker), {"wide": [a, b, c], "narrow": [a]})
        assert not self.fail_by_half(standings.of(a, "m"), 100.0)
        assert self.fail_by_half(standings.of(b, "m"), 100.0)

    def test_those_that_failed_in_a_row_count_as_out_but_are_never_held_back(self) -> None:
        members = [deployment(name) for name in "ab"]
        standings = Standings()
        standings.configure({"b": self.breaker}, {"route": members})
        a, b = (standings.of(member, "m") for member in members)
        break_open(a, 100.0)
        assert not self.fail_by_half(b, 100.0)
        break_open(b, 100.0)
        assert b.refusal(CHAT, 100.0) is not None

    def test_place_among_the_ejected_is_free_again_when_one_has_closed(self) -> None:
        a, b = self.house(2)
        assert self.fail_by_half(a, 100.0)
        assert not self.fail_by_half(b, 100.0)
        begin(a, 110.0).end(Verdict.GOOD, 110.0)
        call(b, Verdict.BAD, 111.0)
        assert b.refusal(CHAT, 111.0) is not None

    def test_ejection_for_one_kind_of_call_does_not_use_up_the_share_of_another(self) -> None:
        a, b = self.house(2)
        break_open(a, 100.0, kind=Operation.EMBEDDINGS)
        assert self.fail_by_half(b, 100.0)

    def test_models_of_a_star_are_bounded_each_for_itself(self) -> None:
        members = [deployment(name, model="*") for name in "ab"]
        standings = Standings()
        standings.configure(dict.fromkeys("ab", self.breaker), {"route-*": members})
        assert self.fail_by_half(standings.of(members[0], "x"), 100.0)
        assert self.fail_by_half(standings.of(members[0], "y"), 100.0)
        assert not self.fail_by_half(standings.of(members[1], "x"), 100.0)

    def test_written_and_starred_models_of_one_route_share_the_bound(self) -> None:
        starred, written = deployment("a", model="*"), deployment("b", model="x")
        for first, second in ((starred, written), (written, starred)):
            standings = Standings()
            standings.configure(dict.fromkeys("ab", self.breaker), {"route-*": [starred, written]})
            assert self.fail_by_half(standings.of(first, "x"), 100.0)
            assert not self.fail_by_half(standings.of(second, "x"), 100.0)
