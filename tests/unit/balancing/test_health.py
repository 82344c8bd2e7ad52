"""Active checks open breakers and end their rests; calls alone decide."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tollhouse.balancing import Permit, Refusal, Shut, Standing, Standings, State, Verdict
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker
from unit.balancing.deployments import CHAT, begin, break_open, call, deployment

EMBEDDINGS = Operation.EMBEDDINGS
HELD_S = 13.0


class Checked:
    """Deployments of one route, and checks of their accounts."""

    def __init__(
        self, *names: str, breaker: Breaker | None = None, star: bool = False, seen: Sequence[str] = ("p",)
    ) -> None:
        self.deployments = [deployment(name, model="*" if star else "m") for name in names or ("p",)]
        self.standings = Standings(most_strangers=20)
        self.standings.configure(
            dict.fromkeys([one.provider for one in self.deployments], breaker or Breaker()),
            {"r": self.deployments},
        )
        if not star:
            for name in seen:
                call(self[name], Verdict.GOOD, 0.0)

    def __getitem__(self, name: str) -> Standing:
        return self.standings.of(next(one for one in self.deployments if one.provider == name), "m")

    def check(self, now: float, *, is_well: bool, name: str = "p") -> bool:
        return self.standings.checked(name, now, is_well=is_well, until=now + HELD_S)

    def unwell(self, now: float, name: str = "p") -> None:
        self.check(now, is_well=False, name=name)
        assert self.check(now, is_well=False, name=name)


def state(standing: Standing, now: float) -> State:
    return standing.view(now).kinds[0].state


def test_one_failed_check_changes_nothing_and_two_in_a_row_open() -> None:
    house = Checked()
    assert not house.check(1.0, is_well=False)
    assert house["p"].refusal(CHAT, 1.0) is None
    assert not house.check(2.0, is_well=True)
    assert not house.check(3.0, is_well=False)
    assert house["p"].refusal(CHAT, 3.0) is None
    assert house.check(4.0, is_well=False)
    assert house["p"].refusal(CHAT, 4.0) == Refusal(Shut.OPEN, 4.0 + HELD_S)


def test_every_kind_that_was_seen_is_opened_and_no_other_kind_is_called_either() -> None:
    house = Checked()
    call(house["p"], Verdict.GOOD, 0.0, kind=EMBEDDINGS)
    house.unwell(1.0)
    assert [kind.state for kind in house["p"].view(1.0).kinds] == [State.OPEN, State.OPEN]
    refusal = house["p"].refusal(Operation.RERANK, 1.0)
    assert refusal == Refusal(Shut.OPEN, 1.0 + HELD_S)


def test_deployment_that_was_never_called_is_left_alone_before_its_first_call() -> None:
    house = Checked(seen=())
    house.unwell(1.0)
    assert isinstance(house["p"].try_begin(CHAT, 1.0), Refusal)
    house.check(5.0, is_well=True)
    call(house["p"], Verdict.GOOD, 5.0)
    assert state(house["p"], 5.0) is State.CLOSED


def test_models_behind_a_star_are_left_alone_also_those_named_first_while_it_is_unwell() -> None:
    house = Checked(star=True)
    star = house.deployments[0]
    call(house.standings.of(star, "before"), Verdict.GOOD, 0.0)
    house.unwell(1.0)
    for model in ("before", "new"):
        assert house.standings.of(star, model).refusal(CHAT, 1.0) is not None
    for number in range(100):
        house.standings.of(star, f"invented-{number}")
    house.check(2.0, is_well=True)
    assert house.standings.of(star, "newest").refusal(CHAT, 2.0) is None


def test_other_accounts_are_not_touched() -> None:
    house = Checked("p", "p#2", "q", seen=("p", "p#2", "q"))
    house.unwell(1.0)
    assert [house[name].refusal(CHAT, 1.0) is None for name in ("p", "p#2", "q")] == [False, True, True]


def test_rest_lasts_while_checks_fail_and_ends_by_itself_when_none_is_made_any_more() -> None:
    house = Checked()
    house.unwell(1.0)
    for now in (11.0, 21.0, 31.0):
        house.check(now, is_well=False)
        assert state(house["p"], now + 12.9) is State.OPEN
    assert state(house["p"], 31.0 + HELD_S) is State.HALF_OPEN


def test_good_check_lets_a_call_try_at_once_and_the_call_decides() -> None:
    house = Checked()
    house.unwell(1.0)
    house.check(2.0, is_well=True)
    assert state(house["p"], 2.0) is State.HALF_OPEN
    house.check(3.0, is_well=True)
    assert state(house["p"], 3.0) is State.HALF_OPEN
    probe = begin(house["p"], 3.0)
    assert probe.is_probe
    assert house["p"].refusal(CHAT, 3.0) == Refusal(Shut.PROBING, 3.0)
    probe.end(Verdict.GOOD, 3.5)
    assert state(house["p"], 3.5) is State.CLOSED


def test_good_check_ends_the_rest_of_a_breaker_that_calls_have_opened() -> None:
    house = Checked(breaker=Breaker(open_s=60.0, longest_open_s=600.0))
    house.check(0.5, is_well=True)
    break_open(house["p"], 1.0)
    house.check(2.0, is_well=True)
    assert state(house["p"], 2.0) is State.HALF_OPEN


def test_good_checks_end_no_rest_twice_while_calls_go_on_failing() -> None:
    house = Checked(breaker=Breaker(open_s=60.0, longest_open_s=600.0))
    break_open(house["p"], 1.0)
    house.check(2.0, is_well=True)
    call(house["p"], Verdict.BAD, 2.0)
    for now in (3.0, 13.0, 23.0):
        house.check(now, is_well=True)
        assert state(house["p"], now) is State.OPEN
    house.unwell(30.0)
    house.check(40.0, is_well=True)
    assert state(house["p"], 40.0) is State.HALF_OPEN


def test_failing_checks_do_not_open_again_what_a_good_call_has_closed() -> None:
    house = Checked()
    house.unwell(1.0)
    forced = house["p"].force(CHAT, 2.0)
    assert forced is not None
    forced.end(Verdict.GOOD, 2.5)
    for now in (3.0, 13.0):
        house.check(now, is_well=False)
        assert state(house["p"], now) is State.CLOSED
    house.check(20.0, is_well=True)
    house.unwell(30.0)
    assert state(house["p"], 30.0) is State.OPEN


def test_first_call_of_a_kind_that_nobody_else_can_take_decides_as_well() -> None:
    house = Checked(seen=())
    house.unwell(1.0)
    forced = house["p"].force(CHAT, 1.0)
    assert forced is not None
    assert forced.is_probe
    assert house["p"].force(CHAT, 1.0) is None
    forced.heard(1.5)
    assert state(house["p"], 1.5) is State.CLOSED
    assert house["p"].refusal(CHAT, 1.5) is None


def test_probe_that_is_under_way_decides_although_a_check_fails_meanwhile() -> None:
    house = Checked(breaker=Breaker(open_s=1.0))
    break_open(house["p"], 1.0)
    probe = begin(house["p"], 5.0)
    house.unwell(5.1)
    probe.end(Verdict.GOOD, 5.2)
    assert state(house["p"], 5.2) is State.CLOSED


def test_failed_call_does_not_shorten_the_rest_that_a_check_has_given() -> None:
    house = Checked(breaker=Breaker(open_s=1.0, longest_open_s=2.0))
    house.unwell(1.0)
    forced = house["p"].force(CHAT, 2.0)
    assert forced is not None
    forced.end(Verdict.BAD, 2.1)
    assert house["p"].refusal(CHAT, 2.1) == Refusal(Shut.OPEN, 1.0 + HELD_S)


def test_what_a_check_has_opened_is_counted_among_its_peers_once() -> None:
    breaker = Breaker(consecutive_failures=1000, minimum_calls=5, most_ejected_percent=50.0)
    house = Checked("a", "b", "c", "d", breaker=breaker, seen=("a", "b", "c", "d"))
    for now in (1.0, 2.0, 3.0):
        house.unwell(now, "a")
    break_open(house["b"], 3.0)
    assert house["b"].refusal(CHAT, 3.0) is not None
    call(house["c"], Verdict.BAD, 3.0, times=50)
    assert house["c"].refusal(CHAT, 3.0) is None
    house.check(4.0, is_well=True, name="a")
    call(house["a"], Verdict.GOOD, 4.0)
    call(house["c"], Verdict.BAD, 4.0)
    assert house["c"].refusal(CHAT, 4.0) is not None


def test_checks_open_all_deployments_of_a_route_however_many_may_be_ejected() -> None:
    house = Checked("a", "b", breaker=Breaker(most_ejected_percent=0.0), seen=("a", "b"))
    for name in ("a", "b"):
        house.unwell(1.0, name)
    assert [state(house[name], 1.0) for name in ("a", "b")] == [State.OPEN, State.OPEN]


def test_rate_limit_is_not_ended_by_a_good_check() -> None:
    house = Checked()
    call(house["p"], Verdict.LIMITED, 1.0, retry_after_s=30.0)
    house.check(2.0, is_well=True)
    assert house["p"].refusal(CHAT, 2.0) == Refusal(Shut.COOLING, 31.0)


def test_reload_keeps_what_checks_have_found_and_what_is_checked_no_more_is_unknown() -> None:
    house = Checked("p", "q", seen=("p", "q"))
    house.unwell(1.0, "p")
    house.unwell(1.0, "q")
    house.standings.configure({}, {"r": [*house.deployments, deployment("p", model="n")]})
    house.standings.only_checked({"p"})
    assert house.standings.of(deployment("p"), "n").refusal(CHAT, 1.0) is not None
    assert house["q"].refusal(EMBEDDINGS, 1.0) is None
    assert {view.provider: view.checked for view in house.standings.views(1.0)} == {"p": "unwell", "q": None}
    assert not house.check(2.0, is_well=False, name="q")


def test_account_without_deployments_may_be_checked_and_is_forgotten() -> None:
    standings = Standings()
    for _ in range(2):
        standings.checked("p", 1.0, is_well=False, until=9.0)
    one = deployment("p")
    standings.configure({}, {"r": [one]})
    assert standings.of(one, "m").refusal(CHAT, 1.0) is not None
    standings.configure({}, {})
    standings.only_checked(())
    standings.configure({}, {"r": [one]})
    assert standings.of(one, "m").refusal(CHAT, 1.0) is None


@pytest.mark.parametrize(
    ("checks", "shown"),
    [([], (None, None)), ([True], ("well", 2.0)), ([True, False], ("unwell", 2.0))],
    ids=["never", "well", "unwell"],
)
def test_view_shows_the_last_check_and_how_long_ago_it_was(
    checks: list[bool], shown: tuple[str | None, float | None]
) -> None:
    house = Checked()
    for is_well in checks:
        house.check(10.0, is_well=is_well)
    (view,) = house.standings.views(12.0)
    assert (view.checked, view.checked_before_s) == shown


def test_closed_breaker_counts_failures_as_before_whatever_checks_say() -> None:
    house = Checked(breaker=Breaker(consecutive_failures=3))
    for now in range(3):
        assert isinstance(house["p"].try_begin(CHAT, now), Permit)
        house.check(float(now), is_well=True)
        call(house["p"], Verdict.BAD, float(now))
    assert state(house["p"], 2.0) is State.OPEN
