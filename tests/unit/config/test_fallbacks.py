from __future__ import annotations

from collections.abc import Mapping
from time import process_time
from typing import Any

import msgspec
import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load, locate
from tollhouse.config.snapshot import Snapshot
from tollhouse.config.tree import Config
from tollhouse.core.problem import ConfigInvalid, ConfigProblem, Severity
from tollhouse.core.routing import Cause, Fallback
from tollhouse.ports.provider import Provider

MOCK = Provider(kind="mock", title="Mock", docs_url="", endpoints=(), needs_credential=False)
OUTAGE, RATE_LIMIT, OVERFLOW, FILTER = Cause
PLAIN = {OUTAGE, RATE_LIMIT}
"""What a plain list stands for."""


def tree(fallbacks: Mapping[str, Any], **others: Any) -> Config:
    """Routes of these names with these fallbacks."""
    routes = {
        name: {
            "deployments": [{"provider": "m", "model": "*" if name.endswith("*") else "m"}],
            "fallbacks": written,
        }
        for name, written in fallbacks.items()
    }
    written = {"version": 1, "providers": {"m": {"kind": "mock"}}, "routes": {**routes, **others}}
    return msgspec.convert(written, Config)


def compiled(fallbacks: Mapping[str, Any], **others: Any) -> Snapshot:
    return compile_config(tree(fallbacks, **others), {"mock": MOCK})


def problems(fallbacks: Mapping[str, Any], **others: Any) -> tuple[ConfigProblem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        compiled(fallbacks, **others)
    return caught.value.problems


def problem(fallbacks: Mapping[str, Any], **others: Any) -> ConfigProblem:
    (only,) = problems(fallbacks, **others)
    return only


def of(fallbacks: Mapping[str, Any], name: str) -> tuple[Fallback, ...]:
    return compiled(fallbacks).routes[name].fallbacks


def names(fallbacks: Mapping[str, Any], name: str) -> list[str]:
    return [fallback.route.name for fallback in of(fallbacks, name)]


# -- flattening


def test_list_is_for_outages_and_rate_limits() -> None:
    (only,) = of({"a": ["b"], "b": []}, "a")
    assert (only.route.name, only.star, only.after) == ("b", None, {"a": PLAIN})


def test_lists_by_cause_are_for_their_causes() -> None:
    by_cause = {"outage": ["b"], "rate_limit": ["c"], "context_overflow": ["d"], "content_filter": ["e"]}
    found = of({"a": by_cause, "b": [], "c": [], "d": [], "e": []}, "a")
    assert [(each.route.name, each.after["a"]) for each in found] == [
        ("b", {OUTAGE}),
        ("c", {RATE_LIMIT}),
        ("d", {OVERFLOW}),
        ("e", {FILTER}),
    ]


def test_route_without_fallbacks_has_none() -> None:
    assert of({"a": ["b"], "b": []}, "b") == ()
    assert of({"a": [], "b": {"outage": []}}, "b") == ()


def test_fallbacks_of_fallbacks_stand_behind_them_and_before_their_neighbours() -> None:
    written = {"a": ["b", "c"], "b": ["d"], "c": ["e"], "d": [], "e": []}
    assert names(written, "a") == ["b", "d", "c", "e"]
    assert names(written, "b") == ["d"]


def test_route_stands_once_in_the_chain_of_another_however_many_ways_lead_there() -> None:
    assert names({"a": ["b", "c", "d"], "b": ["d"], "c": ["d"], "d": []}, "a") == ["b", "d", "c"]
    assert names({"a": ["b", "b"], "b": []}, "a") == ["b"]


def test_route_that_stands_under_two_causes_stands_once_with_both() -> None:
    (only,) = of({"a": {"outage": ["b"], "content_filter": ["b"]}, "b": []}, "a")
    assert only.after == {"a": {OUTAGE, FILTER}}


def test_fallback_holds_the_route_without_its_own_fallbacks_because_the_chain_has_them_all() -> None:
    assert [each.route.fallbacks for each in of({"a": ["b"], "b": ["c"], "c": []}, "a")] == [(), ()]


def test_neighbour_is_asked_when_the_first_of_a_list_fails_as_well() -> None:
    last = of({"a": ["b", "c"], "b": [], "c": []}, "a")[-1]
    assert last.after == {"a": PLAIN, "b": PLAIN}


def test_own_cause_of_a_fallback_counts_where_it_was_the_one_that_failed() -> None:
    found = of({"a": {"outage": ["b"]}, "b": {"context_overflow": ["c"]}, "c": []}, "a")
    assert [(each.route.name, each.after) for each in found] == [
        ("b", {"a": {OUTAGE}}),
        ("c", {"b": {OVERFLOW}}),
    ]


def test_cause_does_not_lead_over_a_step_that_is_for_another() -> None:
    found = of({"a": {"outage": ["b"]}, "b": {"outage": ["c"], "rate_limit": ["d"]}, "c": [], "d": []}, "a")
    after = {each.route.name: each.after for each in found}
    assert after["c"]["a"] == {OUTAGE}
    assert "a" not in after["d"]


def test_order_of_one_cause_is_kept_beside_that_of_another() -> None:
    by_cause = {"outage": ["b", "c"], "context_overflow": ["d", "b"]}
    snapshot = compiled({"a": by_cause, "b": [], "c": [], "d": []})
    assert [each.route.name for each in snapshot.routes["a"].fallbacks] == ["d", "b", "c"]
    assert snapshot.warnings == ()


def test_order_that_two_causes_disagree_about_is_a_warning() -> None:
    (warning,) = compiled({"a": {"outage": ["b", "c"], "rate_limit": ["c", "b"]}, "b": [], "c": []}).warnings
    assert warning.path == "routes.a.fallbacks"
    assert warning.message == (
        "'b' is asked before 'c' after every cause, although `rate_limit` has them the other way round."
    )


# -- stars


def test_name_is_found_by_the_star_it_matches() -> None:
    (only,) = of({"a": ["openai/gpt-4.1"], "openai/*": []}, "a")
    assert (only.route.name, only.star) == ("openai/*", "gpt-4.1")
    assert only.after == {"a": PLAIN}


def test_longest_star_and_before_all_the_exact_name_is_meant() -> None:
    routes: dict[str, Any] = {"*": [], "openai/*": [], "openai/gpt-*": [], "openai/gpt-4": []}
    written = ["openai/gpt-4", "openai/gpt-5", "openai/o1", "other"]
    found = of({"a": written, **routes}, "a")
    assert [(each.route.name, each.star) for each in found] == [
        ("openai/gpt-4", None),
        ("openai/gpt-*", "5"),
        ("openai/*", "o1"),
        ("*", "other"),
    ]


def test_star_that_leads_to_a_star_hands_on_what_the_caller_named() -> None:
    (only,) = of({"openai/*": ["azure/*"], "azure/*": []}, "openai/*")
    assert (only.route.name, only.star, only.after) == ("azure/*", None, {"openai/*": PLAIN})


def test_star_that_is_named_hands_on_its_own_name_to_the_next_star() -> None:
    found = of({"a": ["openai/gpt-4.1"], "openai/*": ["azure/*"], "azure/*": ["b"], "b": []}, "a")
    assert [(each.route.name, each.star) for each in found] == [
        ("openai/*", "gpt-4.1"),
        ("azure/*", "gpt-4.1"),
        ("b", None),
    ]
    assert found[1].after == {"a": PLAIN, "openai/*": PLAIN}


def test_two_models_of_one_star_are_two_fallbacks() -> None:
    found = of({"a": ["openai/x", "openai/y"], "openai/*": {"content_filter": ["b"]}, "b": []}, "a")
    assert [(each.route.name, each.star) for each in found] == [
        ("openai/*", "x"),
        ("b", None),
        ("openai/*", "y"),
    ]
    assert found[1].after == {"openai/*": {FILTER}}


def test_star_may_lead_to_a_name_and_a_star_beyond_keeps_the_name() -> None:
    found = of({"x/*": ["y/one"], "y/*": ["z/*"], "z/*": []}, "x/*")
    assert [(each.route.name, each.star) for each in found] == [("y/*", "one"), ("z/*", "one")]


def test_star_cannot_follow_upon_a_name_without_one() -> None:
    found = problem({"a": ["openai/*"], "openai/*": []})
    assert (found.path, found.message) == (
        "routes.a.fallbacks[0]",
        "What the star of 'openai/*' stands for is not known here.",
    )


def test_every_route_that_names_a_star_in_vain_is_told() -> None:
    found = problems({"x/*": ["y/*"], "y/*": [], "a": ["y/*"], "b": {"outage": ["a", "y/*"]}})
    assert [each.path for each in found] == ["routes.a.fallbacks[0]", "routes.b.fallbacks.outage[1]"]


def test_star_that_is_no_route_is_not_taken_for_a_name_of_another_star() -> None:
    assert "no route named 'openai/*'" in problem({"a/*": ["openai/*"], "*": []}).message


# -- what leads nowhere


def test_unknown_route_is_told_once_with_its_place_and_the_nearest() -> None:
    found = problem({"a": ["gpt-4p"], "gpt-4o": []})
    assert (found.path, found.message, found.hint) == (
        "routes.a.fallbacks[0]",
        "There is no route named 'gpt-4p'.",
        "Did you mean `gpt-4o`?",
    )


def test_unknown_routes_are_told_wherever_they_stand() -> None:
    found = problems({"a": {"outage": ["x"], "content_filter": ["b", "x"]}, "b": ["x"]})
    assert [each.path for each in found] == [
        "routes.a.fallbacks.outage[0]",
        "routes.a.fallbacks.content_filter[1]",
        "routes.b.fallbacks[0]",
    ]


def test_route_is_not_told_to_mean_itself() -> None:
    assert problem({"gpt-4": ["gpt-4x"], "other": []}).hint == "Known: other."


# -- no way back


@pytest.mark.parametrize(
    ("fallbacks", "drawn"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["a"]}, "a → b → a"),
        ({"a": ["b"], "b": ["c"], "c": ["d"], "d": ["b"]}, "b → c → d → b"),
        ({"a": {"outage": ["b"]}, "b": {"content_filter": ["a"]}}, "a → b → a"),
        ({"a": {"context_overflow": ["a"]}}, "a → a"),
        ({"a/*": ["a/*"]}, "a/* → a/*"),
        ({"a/*": ["a/x"]}, "a/* → a/*"),
        ({"a/*": ["b/x"], "b/*": ["c"], "c": ["a/y"]}, "a/* → b/* → c → a/*"),
        ({"a": ["x/1"], "x/*": ["y/*"], "y/*": ["a"]}, "a → x/* → y/* → a"),
    ],
)
def test_way_back_is_refused_and_shown_whole(fallbacks: Mapping[str, Any], drawn: str) -> None:
    found = problem(fallbacks)
    assert found.severity is Severity.ERROR
    assert found.path == f"routes.{drawn.partition(' ')[0]}.fallbacks"
    assert found.message == f"These fallbacks lead back to where they began: {drawn}."


def test_two_ways_back_are_told_both() -> None:
    found = problems({"a": ["b"], "b": ["a"], "c": {"rate_limit": ["d"]}, "d": ["c"], "e": ["a"]})
    assert [each.path for each in found] == ["routes.a.fallbacks", "routes.c.fallbacks"]


def test_way_back_is_told_with_the_line_where_it_begins() -> None:
    text = """\
version: 1
providers: {m: {kind: mock}}
routes:
  gpt-4.1:
    deployments: [{provider: m, model: m}]
    fallbacks: [other]
  other:
    deployments: [{provider: m, model: m}]
    fallbacks:
      content_filter:
        - gpt-4.1
"""
    with pytest.raises(ConfigInvalid) as caught:
        compile_config(load(text), {"mock": MOCK})
    (found,) = locate(text, caught.value.problems)
    assert str(found).startswith("line 6: routes.gpt-4.1.fallbacks: ")
    assert "gpt-4.1 → other → gpt-4.1" in found.message


def test_unknown_route_is_told_with_its_own_line_in_a_name_that_needs_quotes() -> None:
    text = """\
version: 1
providers: {m: {kind: mock}}
routes:
  'a["b"]':
    deployments: [{provider: m, model: m}]
    fallbacks:
      outage:
        - x
"""
    with pytest.raises(ConfigInvalid) as caught:
        compile_config(load(text), {"mock": MOCK})
    (found,) = locate(text, caught.value.problems)
    assert found.line == 8


def test_way_back_through_very_many_is_shown_in_part() -> None:
    found = problem({f"r{number}": [f"r{(number + 1) % 10_000}"] for number in range(10_000)})
    assert "r0 → r1 → " in found.message
    assert " → … 9980 more … → " in found.message
    assert found.message.endswith("r9999 → r0.")
    assert len(found.message) < 500


# -- how many


def test_as_many_as_a_call_may_have_attempts_may_follow() -> None:
    written: dict[str, Any] = {
        "a": [f"r{number}" for number in range(20)],
        **{f"r{n}": [] for n in range(20)},
    }
    assert names(written, "a") == written["a"]


def test_more_than_a_call_may_have_attempts_are_refused() -> None:
    written: dict[str, Any] = {
        "a": [f"r{number}" for number in range(20)],
        **{f"r{n}": [] for n in range(21)},
    }
    found = problem(written | {"r19": ["r20"]})
    assert (found.path, found.message) == (
        "routes.a.fallbacks",
        "More than 20 routes follow upon this one, the fallbacks of fallbacks included.",
    )


def test_thousand_routes_in_long_chains_are_compiled_in_little_time() -> None:
    chained = {f"r{number}": [f"r{number + 1}"] if number % 20 != 19 else [] for number in range(1_000)}
    config = tree(chained)
    began = process_time()
    snapshot = compile_config(config, {"mock": MOCK})
    assert process_time() - began < 3.0
    assert len(snapshot.routes["r980"].fallbacks) == 19


def test_chain_of_ten_thousand_is_refused_in_little_time() -> None:
    config = tree({f"r{number}": [f"r{number + 1}"] if number < 9_999 else [] for number in range(10_000)})
    began = process_time()
    with pytest.raises(ConfigInvalid, match="More than 20 routes"):
        compile_config(config, {"mock": MOCK})
    assert process_time() - began < 5.0


# -- context windows


def windows(ours: list[int | None], theirs: list[int | None]) -> tuple[ConfigProblem, ...]:
    def route(several: list[int | None]) -> dict[str, Any]:
        return {
            "deployments": [
                {"provider": "m", "model": f"m{position}", "context_window_tokens": window}
                for position, window in enumerate(several)
            ]
        }

    overflowing = {**route(ours), "fallbacks": {"context_overflow": ["long"]}}
    return compiled({}, short=overflowing, long=route(theirs)).warnings


@pytest.mark.parametrize(
    ("ours", "theirs", "is_told"),
    [
        ([8_000], [128_000], False),
        ([8_000], [8_000], True),
        ([8_000, 4_000], [6_000], True),
        ([8_000], [4_000, 16_000], False),
        ([8_000, None], [8_000], True),
        ([8_000], [4_000, None], False),
        ([None], [4_000], False),
        ([8_000], [None], False),
    ],
)
def test_window_that_is_known_to_be_no_larger_is_a_warning(
    ours: list[int | None], theirs: list[int | None], is_told: bool
) -> None:
    found = windows(ours, theirs)
    assert [each.path for each in found] == (
        ["routes.short.fallbacks.context_overflow[0]"] if is_told else []
    )


def test_window_is_compared_for_every_route_that_falls_back() -> None:
    def route(window: int, *overflow: str) -> dict[str, Any]:
        return {
            "deployments": [{"provider": "m", "model": "m", "context_window_tokens": window}],
            "fallbacks": {"outage": overflow, "context_overflow": overflow},
        }

    found = compiled({}, a=route(1, "long"), b=route(9, "long"), long=route(5)).warnings
    assert [each.path for each in found] == ["routes.b.fallbacks.context_overflow[0]"]
