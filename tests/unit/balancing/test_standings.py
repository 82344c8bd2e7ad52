"""Standings outlive the configuration, and there are never more of them than the bound."""

from __future__ import annotations

from tollhouse.balancing import Permit, Shut, Standings, State, Verdict
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker, Deployment
from unit.balancing.deployments import CHAT, begin, break_open, call, deployment


def test_deployment_has_one_standing_in_all_routes_and_another_for_each_dialect() -> None:
    standings = Standings()
    one = deployment("p")
    standings.configure({}, {"a": [one], "b": [deployment("p", weight=7)]})
    assert standings.of(one, "m") is standings.of(deployment("p", weight=7), "m")
    assert standings.of(one, "m") is not standings.of(deployment("p", dialect="openai_responses"), "m")
    assert standings.of(one, "m") is not standings.of(one, "n")


def test_configured_deployments_are_shown_before_they_are_called_and_those_of_a_star_when_they_are() -> None:
    standings = Standings()
    star = deployment("q", model="*")
    standings.configure({}, {"a": [deployment("p")], "*": [star]})
    assert [(view.provider, view.model, view.limit, view.kinds) for view in standings.views(0.0)] == [
        ("p", "m", 1024, ())
    ]
    call(standings.of(star, "gpt"), Verdict.GOOD, 0.0)
    assert [(view.provider, view.model) for view in standings.views(0.0)] == [("p", "m"), ("q", "gpt")]


def test_view_shows_what_happened() -> None:
    one = deployment("p", max_concurrency=8)
    standings = Standings()
    standings.configure({"p": Breaker(consecutive_failures=2)}, {"r": [one]})
    standing = standings.of(one, "m")
    standing.waiting = 3
    held = begin(standing, 100.0, is_repeat=True)
    held.heard(100.5)
    call(standing, Verdict.BAD, 101.0, times=2)
    call(standing, Verdict.GOOD, 101.0, kind=Operation.EMBEDDINGS)
    (view,) = standings.views(101.0)
    assert (view.provider, view.model, view.dialect) == ("p", "m", None)
    assert (view.in_flight, view.repeats, view.waiting, view.limit) == (1, 1, 3, 8)
    assert (view.calls, view.failures, view.limited, view.ejections, view.cooling_s) == (4, 2, 0, 1, 0)
    chat, embeddings = view.kinds
    assert (chat.kind, chat.state, chat.calls, chat.failures, chat.ejections) == (CHAT, State.OPEN, 3, 2, 1)
    assert 0.8 <= chat.until_s <= 1.2
    assert (embeddings.state, embeddings.until_s, embeddings.recent_calls, embeddings.latency_s) == (
        State.CLOSED, 0, 1, None,
    )  # fmt: skip


def test_smallest_maximum_of_all_routes_holds_and_follows_the_configuration() -> None:
    standings = Standings()
    standings.configure(
        {},
        {
            "a": [deployment("p", max_concurrency=9)],
            "b": [deployment("p", max_concurrency=4)],
            "c": [deployment("p")],
        },
    )
    standing = standings.of(deployment("p"), "m")
    assert standing.view(0.0).limit == 4
    standings.configure({}, {"a": [deployment("p", max_concurrency=9)]})
    assert standing.view(0.0).limit == 9
    standings.configure({}, {"a": [deployment("p")]})
    assert standing.view(0.0).limit == 1024


def test_learned_limit_survives_a_reload_as_far_as_it_fits() -> None:
    standings = Standings()
    standings.configure({}, {"a": [deployment("p", max_concurrency=100)]})
    standing = standings.of(deployment("p"), "m")
    call(standing, Verdict.LIMITED, 0.0)
    standings.configure({}, {"a": [deployment("p", max_concurrency=60)]})
    assert standing.view(0.0).limit == 50
    standings.configure({}, {"a": [deployment("p", max_concurrency=20)]})
    assert standing.view(0.0).limit == 20


def test_reload_changes_settings_and_keeps_what_was_learned() -> None:
    one, other = deployment("p"), deployment("q")
    standings = Standings()
    standings.configure({}, {"r": [one]})
    standing = standings.of(one, "m")
    held = begin(standing, 100.0)
    held.heard(100.2)
    call(standing, Verdict.BAD, 100.0, times=2)
    standings.configure({"p": Breaker(consecutive_failures=3, window_s=60.0)}, {"r": [one, other]})
    assert standings.of(one, "m") is standing
    assert standing.in_flight == 1
    assert standing.latency_s(CHAT, 100.2) is not None
    call(standing, Verdict.BAD, 100.0)
    assert standing.view(100.0).kinds[0].state is State.OPEN
    standings.configure({}, {"r": [one, other]})
    assert standing.view(100.0).kinds[0].state is State.OPEN
    held.end(Verdict.GOOD, 100.3)
    assert standing.in_flight == 0


def test_deployments_that_are_out_are_still_counted_after_a_reload() -> None:
    breakers = dict.fromkeys("ab", Breaker(consecutive_failures=1000, minimum_calls=5))
    a, b = deployment("a"), deployment("b")
    standings = Standings()
    standings.configure(breakers, {"r": [a, b]})
    call(standings.of(a, "m"), Verdict.BAD, 100.0, times=5)
    assert standings.of(a, "m").refusal(CHAT, 100.0) is not None
    for _ in range(3):
        standings.configure(breakers, {"r": [a, b]})
    call(standings.of(b, "m"), Verdict.BAD, 100.0, times=50)
    assert standings.of(b, "m").refusal(CHAT, 100.0) is None
    begin(standings.of(a, "m"), 110.0).end(Verdict.GOOD, 110.0)
    call(standings.of(b, "m"), Verdict.BAD, 110.0)
    assert standings.of(b, "m").refusal(CHAT, 110.0) is not None


def test_deployment_named_twice_in_a_route_is_one_member_of_it() -> None:
    standings = Standings()
    standings.configure(
        {"p": Breaker(consecutive_failures=1000)}, {"r": [deployment("p"), deployment("p", weight=2)]}
    )
    call(standings.of(deployment("p"), "m"), Verdict.BAD, 100.0, times=50)
    assert standings.of(deployment("p"), "m").refusal(CHAT, 100.0) is None

    three = {"r": [deployment("p"), deployment("p", weight=2), deployment("q"), deployment("r")]}
    breaker = Breaker(consecutive_failures=1000, most_ejected_percent=67.0)
    standings.configure(dict.fromkeys("pqr", breaker), three)
    for name in "pqr":
        for _ in range(20):
            permit = standings.of(deployment(name), "m").try_begin(CHAT, 200.0)
            if isinstance(permit, Permit):
                permit.end(Verdict.BAD, 200.0)
    assert [standings.of(deployment(name), "m").refusal(CHAT, 200.0) is None for name in "pqr"] == [
        False,
        False,
        True,
    ]


def test_invented_models_are_bounded_and_the_longest_unused_one_is_forgotten() -> None:
    star = deployment("p", model="*")
    named = deployment("q")
    standings = Standings(most_strangers=100)
    standings.configure({}, {"*": [star], "named": [named]})
    break_open(standings.of(named, "m"), 100.0)
    used = standings.of(star, "used")
    call(used, Verdict.GOOD, 100.0)
    unused = standings.of(star, "unused")
    for number in range(1000):
        call(standings.of(star, f"invented-{number}"), Verdict.BAD, 100.0)
        assert standings.of(star, "used") is used
        assert len(standings) <= 101
    assert standings.of(star, "unused") is not unused
    assert standings.of(named, "m").refusal(CHAT, 100.0) is not None


def test_of_invented_models_only_those_called_last_are_shown_where_that_is_asked_for() -> None:
    star = deployment("p", model="*")
    standings = Standings()
    standings.configure({}, {"*": [star], "named": [deployment("q")]})
    for number in range(10):
        standings.of(star, f"invented-{number}")
    standings.of(star, "invented-0")
    shown = [view.model for view in standings.views(100.0, most_strangers=3)]
    assert shown == ["m", "invented-0", "invented-8", "invented-9"]
    assert standings.views(100.0, most_strangers=10) == standings.views(100.0)
    assert len(standings.views(100.0)) == 11


def test_models_with_calls_in_flight_or_waiting_are_not_forgotten() -> None:
    star = deployment("p", model="*")
    standings = Standings(most_strangers=10)
    standings.configure({}, {"*": [star]})
    held = []
    for number in range(20):
        standing = standings.of(star, f"held-{number}")
        if number % 2:
            standing.waiting = 1
        else:
            held.append(begin(standing, 100.0))
    for number in range(500):
        standings.of(star, f"invented-{number}")
    assert len(standings) <= 22
    kept = {view.model for view in standings.views(100.0)}
    assert {f"held-{number}" for number in range(20)} <= kept
    for permit in held:
        permit.end(Verdict.GOOD, 100.0)


def test_newest_model_is_not_forgotten_before_it_is_called_when_all_others_are_busy() -> None:
    star = deployment("p", model="*")
    standings = Standings(most_strangers=3)
    standings.configure({}, {"*": [star]})
    for number in range(10):
        standing = standings.of(star, f"busy-{number}")
        assert standings.of(star, f"busy-{number}") is standing
        begin(standing, 100.0)


def test_forgotten_model_no_longer_counts_as_out_among_its_peers() -> None:
    members: list[Deployment] = [deployment(name, model="*") for name in "ab"]
    standings = Standings(most_strangers=2)
    standings.configure(
        dict.fromkeys("ab", Breaker(minimum_calls=5, consecutive_failures=1000)), {"*": members}
    )
    forgotten = standings.of(members[0], "x")
    call(forgotten, Verdict.BAD, 100.0, times=5)
    assert forgotten.refusal(CHAT, 100.0) is not None
    for number in range(5):
        standings.of(members[0], f"other-{number}")
    again = standings.of(members[1], "x")
    call(again, Verdict.BAD, 100.0, times=5)
    assert again.refusal(CHAT, 100.0) is not None
    begin(forgotten, 110.0).end(Verdict.GOOD, 110.0)  # whoever still holds it does no harm
    assert standings.of(members[0], "x").refusal(CHAT, 110.0) is None


def test_deployments_taken_out_of_the_configuration_fall_under_the_bound() -> None:
    standings = Standings(most_strangers=10)
    standings.configure({}, {"r": [deployment(f"p{number}") for number in range(300)]})
    assert len(standings) == 300
    standings.configure({}, {"r": [deployment("p299")]})
    assert len(standings) == 11
    standings.configure({}, {})
    assert len(standings) == 10


def test_maximum_of_a_star_holds_for_each_of_its_models() -> None:
    star = deployment("p", model="*", max_concurrency=2)
    standings = Standings()
    standings.configure({}, {"*": [star]})
    for model in ("x", "y"):
        standing = standings.of(star, model)
        begin(standing, 0.0)
        begin(standing, 0.0)
        refusal = standing.refusal(CHAT, 0.0)
        assert refusal is not None
        assert refusal.why is Shut.FULL


def test_deployment_that_was_never_configured_has_its_own_maximum() -> None:
    assert Standings().of(deployment("stray", max_concurrency=3), "m").view(0.0).limit == 3
