from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.chains import Chain, Chains, cycles, disputed, in_one_order, reasons
from tollhouse.core.routing import Cause

NAMES = "abcdefgh"
Steps = dict[str, dict[Cause, tuple[str, ...]]]

CAUSES = st.lists(st.sampled_from(Cause), max_size=3, unique=True)
ANY_GRAPH = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True), max_size=len(NAMES)
)


@st.composite
def ways_down(draw: st.DrawFn) -> Steps:
    """A graph in which each node leads to later letters only, for some causes."""
    steps: Steps = {}
    for position, name in enumerate(NAMES[:-1]):
        later = st.lists(st.sampled_from(NAMES[position + 1 :]), max_size=3, unique=True).map(tuple)
        steps[name] = {cause: draw(later) for cause in draw(CAUSES)}
    return steps


def chains_of(steps: Steps, longest: int = 20) -> Chains[str]:
    return Chains(lambda name: steps.get(name, {}), longest)


def reached(graph: Mapping[str, tuple[str, ...]], start: str) -> set[str]:
    """The model: everything that can be reached, step by step until nothing is new."""
    found: set[str] = set()
    new = {*graph.get(start, ())}
    while new - found:
        found |= new
        new = {after for name in new for after in graph.get(name, ())}
    return found


def for_cause(steps: Steps, cause: Cause) -> dict[str, tuple[str, ...]]:
    return {name: by_cause.get(cause, ()) for name, by_cause in steps.items()}


def for_any(steps: Steps) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(after for several in by_cause.values() for after in several)
        for name, by_cause in steps.items()
    }


# -- cycles


@given(ANY_GRAPH)
def test_cycle_is_found_exactly_where_there_is_one(graph: dict[str, list[str]]) -> None:
    leading = {name: tuple(after) for name, after in graph.items()}
    assert bool(list(cycles(graph))) == any(name in reached(leading, name) for name in NAMES)


@given(ANY_GRAPH)
def test_every_cycle_is_one_and_is_told_once(graph: dict[str, list[str]]) -> None:
    found = list(cycles(graph))
    for cycle in found:
        assert all(after in graph[name] for name, after in pairwise((*cycle, cycle[0])))
        assert len(set(cycle)) == len(cycle)
    assert len({frozenset(cycle) for cycle in found}) == len(found)


@given(ANY_GRAPH)
def test_there_are_no_cycles_without_the_last_steps_of_those_that_are_told(
    graph: dict[str, list[str]],
) -> None:
    cut = {(cycle[-1], cycle[0]) for cycle in cycles(graph)}
    mended = {
        name: [after for after in several if (name, after) not in cut] for name, several in graph.items()
    }
    assert list(cycles(mended)) == []


def test_cycle_is_told_from_where_it_is_entered() -> None:
    assert list(cycles({"a": ["b"], "b": ["c"], "c": ["d"], "d": ["b"]})) == [("b", "c", "d")]
    assert list(cycles({"a": ["a"]})) == [("a",)]


def test_cycle_through_ten_thousand_is_found_in_little_time() -> None:
    began = process_time()
    graph = {str(number): [str((number + 1) % 10_000)] for number in range(10_000)}
    assert [len(cycle) for cycle in cycles(graph)] == [10_000]
    assert process_time() - began < 2.0


# -- chains


def test_what_a_node_leads_to_comes_before_its_neighbours() -> None:
    steps: Steps = {"a": {Cause.OUTAGE: ("b", "c")}, "b": {Cause.OUTAGE: ("d",)}, "c": {Cause.OUTAGE: ("e",)}}
    chain = chains_of(steps).of("a")
    assert chain == Chain({Cause.OUTAGE: ("b", "d", "c", "e")}, ("b", "d", "c", "e"))


@given(ways_down())
def test_chain_is_what_can_be_reached_for_the_cause_each_once(steps: Steps) -> None:
    chains = chains_of(steps)
    for name in NAMES:
        chain = chains.of(name)
        assert chain is not None
        for cause in Cause:
            found = chain.by_cause.get(cause, ())
            assert set(found) == reached(for_cause(steps, cause), name)
            assert len(set(found)) == len(found)
        assert set(chain.all) == reached(for_any(steps), name)
        assert len(set(chain.all)) == len(chain.all)


@given(ways_down())
def test_chain_is_the_order_in_which_people_read_nested_lists(steps: Steps) -> None:
    def read(name: str, cause: Cause, found: list[str]) -> list[str]:
        for after in steps.get(name, {}).get(cause, ()):
            if after not in found:
                found.append(after)
                read(after, cause, found)
        return found

    chains = chains_of(steps)
    for name in NAMES:
        chain = chains.of(name)
        assert chain is not None
        for cause in Cause:
            assert list(chain.by_cause.get(cause, ())) == read(name, cause, [])


@given(ways_down(), st.integers(0, 8))
def test_chain_is_refused_exactly_where_it_is_longer_than_the_longest(steps: Steps, longest: int) -> None:
    chains = chains_of(steps, longest)
    for name in NAMES:
        assert (chains.of(name) is None) == (len(reached(for_any(steps), name)) > longest)


def test_chain_of_ten_thousand_is_worked_out_in_little_time() -> None:
    began = process_time()
    steps: Steps = {f"{number}": {Cause.OUTAGE: (f"{number + 1}",)} for number in range(10_000)}
    chains = chains_of(steps)
    assert chains.of("0") is None
    assert chains.of("9979") is None
    assert chains.of("9980") is not None
    assert process_time() - began < 2.0


# -- one order for all causes


@given(ways_down())
def test_order_has_all_of_the_chain_once_and_tells_whether_a_cause_disagrees(steps: Steps) -> None:
    chain = chains_of(steps).of("a")
    assert chain is not None
    order = in_one_order(chain)
    assert sorted(order) == sorted(chain.all)
    is_kept = all(
        [name for name in order if name in several] == list(several) for several in chain.by_cause.values()
    )
    turned = disputed(chain, order)
    assert (turned is None) == is_kept
    if turned:
        cause, first, second = turned
        assert chain.by_cause[cause].index(first) < chain.by_cause[cause].index(second)
        assert order.index(first) > order.index(second)


@given(ways_down())
def test_order_is_right_for_every_cause_where_one_can_be(steps: Steps) -> None:
    chain = chains_of(steps).of("a")
    assert chain is not None
    graph: dict[str, list[str]] = {}
    for several in chain.by_cause.values():
        for before, after in pairwise(several):
            graph.setdefault(before, []).append(after)
    is_possible = not list(cycles(graph))
    assert (disputed(chain, in_one_order(chain)) is None) == is_possible


def test_order_puts_what_only_a_later_cause_names_where_that_cause_wants_it() -> None:
    chain = Chain({Cause.OUTAGE: ("a", "b"), Cause.CONTEXT_OVERFLOW: ("c", "a")}, ("a", "b", "c"))
    assert in_one_order(chain) == ("c", "a", "b")


def test_order_is_that_of_the_earlier_cause_where_two_disagree() -> None:
    chain = Chain({Cause.OUTAGE: ("a", "b"), Cause.RATE_LIMIT: ("b", "a")}, ("a", "b"))
    assert in_one_order(chain) == ("a", "b")
    assert disputed(chain, ("a", "b")) == (Cause.RATE_LIMIT, "b", "a")


# -- who may follow whom


@given(ways_down())
def test_reasons_are_the_lists_of_who_failed_and_of_those_before_it(steps: Steps) -> None:
    """By the model: what can be reached for a cause from the one that failed, or from one that leads to it; but nothing
    that leads there itself."""
    everything = for_any(steps)
    members = ["a", *reached(everything, "a")]
    after = reasons(chains_of(steps), "a")
    assert set(after) == set(members[1:])
    for name in after:
        for failed in members:
            sources = [one for one in members if one == failed or failed in reached(everything, one)]
            expected = {
                cause
                for cause in Cause
                for source in sources
                if name in reached(for_cause(steps, cause), source)
                if name != failed and failed not in reached(everything, name)
            }
            assert after[name].get(failed, frozenset()) == expected


@given(ways_down())
def test_after_the_one_that_was_asked_for_failed_only_its_own_causes_count(steps: Steps) -> None:
    after = reasons(chains_of(steps), "a")
    for name, by_failed in after.items():
        assert by_failed.get("a", frozenset()) == {
            cause for cause in Cause if name in reached(for_cause(steps, cause), "a")
        }


def test_neighbour_is_next_when_the_first_of_a_list_fails_as_well() -> None:
    after = reasons(chains_of({"a": {Cause.OUTAGE: ("b", "c")}}), "a")
    assert after["c"] == {"a": {Cause.OUTAGE}, "b": {Cause.OUTAGE}}


def test_cause_of_a_fallback_counts_only_once_it_was_asked() -> None:
    after = reasons(chains_of({"a": {Cause.OUTAGE: ("b",)}, "b": {Cause.CONTEXT_OVERFLOW: ("c",)}}), "a")
    assert after == {"b": {"a": {Cause.OUTAGE}}, "c": {"b": {Cause.CONTEXT_OVERFLOW}}}


def test_nothing_follows_where_nothing_is_written() -> None:
    assert reasons(chains_of({}), "a") == {}
