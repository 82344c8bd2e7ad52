"""Each strategy puts first whom it promises, and what cannot take the call comes last but is not lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.balancing import Choice, Permit, Verdict, blended_price
from tollhouse.core.routing import Deployment, Price, Strategy
from unit.balancing.deployments import CHAT, House, begin, call, deployment

EVERY = pytest.mark.parametrize("strategy", list(Strategy))
MANY = 200


def named(names: str, **weights: int) -> list[Deployment]:
    return [deployment(name, weight=weights.get(name, 1)) for name in names]


def many(size: int = MANY) -> list[Deployment]:
    return [deployment(f"p{number:03}") for number in range(size)]


def firsts(house: House, calls: int) -> Counter[str]:
    return Counter(house.order()[0] for _ in range(calls))


def assert_shares(seen: Counter[str], weights: dict[str, float]) -> None:
    """Chi-square: the statistic's mean is its degrees of freedom; five standard deviations above is no accident."""
    calls, total = sum(seen.values()), sum(weights.values())
    expected = {name: calls * weight / total for name, weight in weights.items()}
    assert set(seen) <= set(weights)
    freedom = len(weights) - 1
    statistic = sum((seen[name] - part) ** 2 / part for name, part in expected.items())
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5 + 5


@EVERY
def test_only_deployment_is_chosen_whatever_its_state(strategy: Strategy) -> None:
    house = House(named("a"), strategy)
    house.shut("a")
    assert house.order(session=b"s") == ["a"]


@EVERY
def test_nobody_is_chosen_where_there_is_nobody(strategy: Strategy) -> None:
    assert House([], strategy).order() == []


@EVERY
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_with_sixteen_or_fewer_all_are_named_once_the_shut_ones_last_by_their_recovery(
    strategy: Strategy, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 16))
    weights = data.draw(st.lists(st.integers(0, 5), min_size=size, max_size=size))
    house = House([deployment(f"p{n}", weight=weight) for n, weight in enumerate(weights)], strategy)
    waits = {f"p{n}": data.draw(st.sampled_from([None, None, 1.0, 5.0, 60.0])) for n in range(size)}
    for name, wait_s in waits.items():
        house.occupy(name, data.draw(st.integers(0, 3)))
        if wait_s is not None:
            house.shut(name, for_s=wait_s)
    order = house.order(session=data.draw(st.one_of(st.none(), st.binary(max_size=8))))
    assert sorted(order) == sorted(waits)
    usable = [name for name in order if waits[name] is None]
    assert order[: len(usable)] == usable
    recoveries = [wait_s for name in order if (wait_s := waits[name]) is not None]
    assert recoveries == sorted(recoveries)
    of_weight = [weights[int(name[1:])] > 0 for name in usable]
    assert of_weight == sorted(of_weight, reverse=True)


@EVERY
@pytest.mark.parametrize("most", [1, 3, 16, 40])
def test_no_more_are_named_than_asked_for(strategy: Strategy, most: int) -> None:
    for size in (5, 16, 17, MANY):
        order = House(many(size), strategy).order(session=b"s", most=most)
        assert len(order) == len(set(order)) == min(size if size <= 16 else 12, most)


@EVERY
def test_deployment_of_weight_nothing_waits_for_all_others_to_fail(strategy: Strategy) -> None:
    house = House(named("zab", z=0), strategy)
    for session in (b"1", b"2", b"3", b"4", None):
        house.occupy("a", 1)
        assert house.order(session=session)[2] == "z"
    house.shut("a", "b")
    assert house.order(session=b"s")[0] == "z"


@EVERY
def test_deployment_of_weight_nothing_waits_for_all_others_to_fail_among_many(strategy: Strategy) -> None:
    house = House([deployment("z", weight=0), *many()], strategy)
    assert all("z" not in house.order(session=bytes([turn])) for turn in range(50))
    house.shut(*[one.provider for one in many()])
    assert house.order(session=b"s")[0] == "z"


@EVERY
def test_deployments_all_of_weight_nothing_are_equals(strategy: Strategy) -> None:
    house = House(named("ab", a=0, b=0), strategy)
    assert sorted(house.order(session=b"s")) == ["a", "b"]


@EVERY
def test_the_few_usable_ones_among_many_are_found_and_remembered(strategy: Strategy) -> None:
    house = House(many(1000), strategy)
    usable = {"p123", "p777"}
    house.shut(*[one.provider for one in many(1000) if one.provider not in usable], for_s=100.0)
    orders = [house.order(session=b"%d" % turn) for turn in range(40)]
    found = [order[0] in usable for order in orders]
    assert all(found[found.index(True) :])
    assert found.index(True) < 20
    assert usable & set(orders[-1]) == usable or strategy is not Strategy.ORDERED


@EVERY
def test_half_of_many_shut_are_never_first(strategy: Strategy) -> None:
    house = House(many(), strategy)
    shut = {one.provider for one in many()[: MANY // 2]}
    house.shut(*shut)
    assert not any(house.order(session=b"%d" % turn)[0] in shut for turn in range(200))


class TestOrdered:
    def test_file_decides(self) -> None:
        assert House(named("cab"), Strategy.ORDERED).order() == ["c", "a", "b"]

    def test_file_decides_also_of_many(self) -> None:
        assert House(many(), Strategy.ORDERED).order() == [one.provider for one in many()[:12]]

    def test_first_that_is_usable_is_tried(self) -> None:
        house = House(named("abcd"), Strategy.ORDERED)
        house.shut("a", for_s=9.0)
        house.shut("c", for_s=5.0)
        assert house.order() == ["b", "d", "c", "a"]


class TestWeighted:
    def test_first_is_drawn_by_weight_and_the_others_follow_as_they_stand(self) -> None:
        house = House(named("abc", a=1, b=2, c=1), Strategy.WEIGHTED)
        orders = [
            house.order(draw=lambda draw=draw: draw) for draw in (0.0, 0.24, 0.25, 0.74, 0.75, 1 - 2**-53)
        ]
        assert orders == [list(order) for order in ("abc", "abc", "bac", "bac", "cab", "cab")]

    def test_calls_are_shared_by_weight(self) -> None:
        house = House(named("abcz", a=5, b=3, c=2, z=0), Strategy.WEIGHTED)
        assert_shares(firsts(house, 4000), {"a": 5, "b": 3, "c": 2})

    def test_share_of_a_shut_one_is_drawn_again_by_weight(self) -> None:
        house = House(named("abcd", a=10, b=1, c=2, d=3), Strategy.WEIGHTED)
        house.shut("a")
        assert_shares(firsts(house, 4000), {"b": 1, "c": 2, "d": 3})

    def test_share_of_the_shut_ones_among_many_is_drawn_again_by_weight(self) -> None:
        heavy = [deployment(f"h{number}", weight=3) for number in range(20)]
        light = [deployment(f"l{number}") for number in range(20)]
        house = House([*many(40), *heavy, *light], Strategy.WEIGHTED)
        house.shut(*[one.provider for one in many(40)])
        seen = firsts(house, 6000)
        assert_shares(seen, {one.provider: one.weight for one in (*heavy, *light)})

    @given(
        st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any), st.floats(0, 1, exclude_max=True)
    )
    @settings(deadline=None)
    def test_first_never_has_weight_nothing_whatever_is_drawn(self, weights: list[int], draw: float) -> None:
        house = House(
            [deployment(f"p{n}", weight=weight) for n, weight in enumerate(weights)], Strategy.WEIGHTED
        )
        assert weights[int(house.order(draw=lambda: draw)[0][1:])] > 0


class TestLeastBusy:
    def test_fewest_calls_for_the_weight_come_first(self) -> None:
        house = House(named("abc", a=1, b=4, c=1), Strategy.LEAST_BUSY)
        house.occupy("a", 2)
        house.occupy("b", 5)
        house.occupy("c", 1)
        assert [house.order() for _ in range(20)] == [["c", "b", "a"]] * 20

    def test_idle_ones_are_shared_by_weight(self) -> None:
        assert_shares(firsts(House(named("ab", a=3), Strategy.LEAST_BUSY), 2000), {"a": 3, "b": 1})

    def test_load_of_many_stays_level(self) -> None:
        house = House(many(), Strategy.LEAST_BUSY)
        for _ in range(MANY * 10):
            begin(house[house.order()[0]], house.now)
        loads = [house[one.provider].in_flight for one in many()]
        assert max(loads) - min(loads) <= 4


class TestLowestLatency:
    def answer(self, house: House, name: str, after_s: float) -> Permit:
        permit = begin(house[name], house.now - after_s)
        permit.heard(house.now)
        return permit

    def test_soonest_comes_first_with_its_load_reckoned_in(self) -> None:
        house = House(named("abc"), Strategy.LOWEST_LATENCY)
        for name, after_s in (("a", 0.9), ("b", 0.4), ("c", 0.1)):
            self.answer(house, name, after_s).end(Verdict.GOOD, house.now)
        assert house.order() == ["c", "b", "a"]
        house.occupy("c", 4)
        assert house.order() == ["b", "c", "a"]

    def test_unknown_ones_are_tried_by_some_calls_but_not_by_all(self) -> None:
        house = House(named("ab"), Strategy.LOWEST_LATENCY)
        self.answer(house, "a", 0.1).end(Verdict.GOOD, house.now)
        seen = firsts(house, 4000)
        assert 0.03 < seen["b"] / 4000 < 0.1

    def test_unknown_one_is_not_tried_again_while_the_answer_is_on_its_way(self) -> None:
        house = House(named("ab"), Strategy.LOWEST_LATENCY)
        self.answer(house, "a", 0.1).end(Verdict.GOOD, house.now)
        house.occupy("b", 1)
        assert firsts(house, 500) == {"a": 500}

    def test_load_decides_while_nothing_is_known(self) -> None:
        house = House(named("abc"), Strategy.LOWEST_LATENCY)
        house.occupy("a", 1)
        house.occupy("b", 2)
        assert house.order() == ["c", "a", "b"]

    def test_slow_one_is_tried_again_after_a_while(self) -> None:
        house = House(named("ab"), Strategy.LOWEST_LATENCY)
        for name, after_s in (("a", 0.1), ("b", 30.0)):
            self.answer(house, name, after_s).end(Verdict.GOOD, house.now)
        chosen: set[str] = set()
        for _ in range(300):
            house.clock.advance(0.5)
            chosen.add(house.order()[0])
            self.answer(house, "a", 0.1).end(Verdict.GOOD, house.now)
        assert chosen == {"a", "b"}

    def test_quick_ones_among_many_get_most_of_the_calls(self) -> None:
        house = House(many(), Strategy.LOWEST_LATENCY)
        for number, one in enumerate(many()):
            self.answer(house, one.provider, 0.1 if number % 4 == 0 else 2.0).end(Verdict.GOOD, house.now)
        seen = firsts(house, 500)
        quick = sum([calls for name, calls in seen.items() if int(name[1:]) % 4 == 0])
        assert quick > 450
        assert len(seen) > 40


class TestLowestCost:
    def priced(self, name: str, cost: int | None) -> Deployment:
        price = Price(input_per_million_nanousd=cost, output_per_million_nanousd=cost)
        return Deployment(id=name, provider=name, model="m", price=price)

    def test_cheapest_comes_first_and_unknown_is_not_nothing(self) -> None:
        costs = {"u": None, "a": 30, "b": 10, "free": 0, "c": 20}
        house = House([self.priced(name, cost) for name, cost in costs.items()], Strategy.LOWEST_COST)
        assert house.order() == ["free", "b", "c", "a", "u"]

    def test_table_of_prices_can_be_given(self) -> None:
        costs: dict[str, float | None] = {"a": None, "b": float("nan"), "c": 2.5, "d": 1.0}
        choice = Choice(named("abcd"), Strategy.LOWEST_COST, cost_of=lambda one: costs[one.provider])
        house = House(named("abcd"), Strategy.LOWEST_COST)
        house.choice = choice
        assert house.order() == ["d", "c", "a", "b"]

    def test_price_is_three_parts_of_input_to_one_of_output(self) -> None:
        one = Deployment(
            id="a",
            provider="a",
            model="m",
            price=Price(input_per_million_nanousd=4, output_per_million_nanousd=20),
        )
        assert blended_price(one) == 8
        assert blended_price(deployment("a")) is None
        assert blended_price(self.priced("a", None)) is None


class TestSticky:
    def test_session_stays_where_it_is(self) -> None:
        house = House(named("abcd"), Strategy.STICKY)
        homes = {session: house.order(session=session) for session in (b"1", b"2", b"", b"x" * 5000)}
        again = House(named("abcd"), Strategy.STICKY, seed=b"other chance")
        assert all(again.order(session=session) == order for session, order in homes.items())
        assert all(sorted(order) == list("abcd") for order in homes.values())

    def test_place_of_a_session_is_the_same_in_every_process(self) -> None:
        house = House(named("abcd"), Strategy.STICKY)
        assert [house.order(session=b"%d" % n)[0] for n in range(12)] == list("bbbcccbcaadc")

    def test_sessions_are_spread_by_weight(self) -> None:
        house = House(named("abc", b=2), Strategy.STICKY)
        seen = Counter(house.order(session=b"%d" % number)[0] for number in range(4000))
        assert seen["a"] / 4000 == pytest.approx(0.25, abs=0.08)
        assert seen["b"] / 4000 == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("size", [3, 10, 100])
    def test_only_the_sessions_of_one_that_comes_or_goes_move(self, size: int) -> None:
        sessions = [b"session-%d" % number for number in range(1000)]

        def homes(deployments: list[Deployment]) -> dict[bytes, str]:
            house = House(deployments, Strategy.STICKY)
            return {session: house.order(session=session)[0] for session in sessions}

        members = many(size)
        before = homes(members)
        more = homes([*members[:1], deployment("new"), *members[1:]])
        moved = {session for session in sessions if more[session] != before[session]}
        assert {more[session] for session in moved} <= {"new"}
        assert len(moved) / 1000 < 2 / (size + 1) + 0.02
        less = homes(members[1:])
        assert all(less[session] == before[session] for session in sessions if before[session] != "p000")

    def test_session_of_a_shut_one_goes_to_its_next_on_the_ring_and_comes_back(self) -> None:
        house = House(named("abcd"), Strategy.STICKY)
        home, following, *_ = house.order(session=b"s")
        house.shut(home, for_s=5.0)
        assert house.order(session=b"s")[0] == following
        house.clock.advance(6.0)
        assert house.order(session=b"s")[0] == home

    def test_session_goes_elsewhere_while_its_own_is_far_busier_than_the_others(self) -> None:
        house = House(named("abcd"), Strategy.STICKY)
        home, following, *_ = house.order(session=b"s")
        house.occupy(home, 2)
        assert house.order(session=b"s")[0] == home, "two calls, and not two more than the mean of a half"
        permits = house.occupy(home, 1)
        assert house.order(session=b"s")[0] == following
        permits[0].end(Verdict.GOOD, house.now)
        assert house.order(session=b"s")[0] == home

    def test_busy_is_what_is_a_quarter_above_the_mean(self) -> None:
        house = House(named("ab"), Strategy.STICKY)
        home, following = house.order(session=b"s")
        house.occupy(following, 100)
        house.occupy(home, 166)
        assert house.order(session=b"s")[0] == home
        house.occupy(home, 2)
        assert house.order(session=b"s")[0] == following

    def test_load_is_reckoned_by_weight(self) -> None:
        house = House(named("ab", a=3), Strategy.STICKY)
        session = next(s for s in (b"%d" % n for n in range(100)) if house.order(session=s)[0] == "a")
        house.occupy("a", 9)
        house.occupy("b", 3)
        assert house.order(session=session)[0] == "a"

    def test_call_without_a_session_goes_to_the_least_busy(self) -> None:
        house = House(named("abc"), Strategy.STICKY)
        house.occupy("a", 1)
        house.occupy("b", 2)
        assert house.order(session=None) == ["c", "a", "b"]

    def test_loads_of_many_sessions_are_bounded(self) -> None:
        house = House(named("abcde"), Strategy.STICKY)
        for number in range(500):
            begin(house[house.order(session=b"%d" % (number % 7))[0]], house.now)
        loads = [house[name].in_flight for name in "abcde"]
        assert max(loads) <= 1.25 * 100 + 3

    def test_few_points_of_a_light_one_do_not_lose_it(self) -> None:
        house = House(named("abc", a=1000, b=1000, c=1), Strategy.STICKY)
        assert all(sorted(house.order(session=b"%d" % n)) == list("abc") for n in range(50))


def test_full_deployment_keeps_its_place_among_the_shut_ones() -> None:
    members = [deployment("a", max_concurrency=1), deployment("b", max_concurrency=1), deployment("c")]
    house = House(members, Strategy.ORDERED)
    house.occupy("a", 1)
    house.occupy("b", 1)
    house.shut("c")
    assert house.order() == ["a", "b", "c"]


@EVERY
def test_choosing_changes_no_standing(strategy: Strategy) -> None:
    house = House(many(30), strategy)
    call(house["p003"], Verdict.GOOD, house.now)
    before = house.standings.views(house.now)
    for turn in range(20):
        house.order(session=b"%d" % turn)
    assert house.standings.views(house.now) == before


@EVERY
def test_many_deployments_are_not_all_looked_at(strategy: Strategy) -> None:
    house = House(many(1000), strategy)
    looks = 0

    def counted(one: Deployment) -> object:
        nonlocal looks
        looks += 1
        return house.standings.of(one, one.model)

    def looked_at(draw: Callable[[], float]) -> int:
        nonlocal looks
        looks = 0
        house.choice.order(standing=counted, kind=CHAT, now=house.now, draw=draw, session=b"s")  # type: ignore[arg-type]
        return looks

    assert looked_at(house.clock.draw) <= 12
    house.shut(*[one.provider for one in many(1000)])
    assert max(looked_at(house.clock.draw) for _ in range(20)) <= 12 + 64 + 8 + 8
