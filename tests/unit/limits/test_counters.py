"""The counters of a scope."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tollhouse.core.limits import Budget, CounterKind, Limits, Period, Scope
from tollhouse.limits.counters import ScopeCounters, counters_of, measure_of

BERLIN = ZoneInfo("Europe/Berlin")
EVERYTHING = Limits(
    requests_per_minute=1,
    tokens_per_minute=2,
    input_tokens_per_minute=3,
    output_tokens_per_minute=4,
    concurrency=5,
    max_body_bytes=6,
)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


def search(**given: object) -> Scope:
    return Scope(id="team:search", name="search", **given)  # type: ignore[arg-type]


def test_a_scope_has_a_counter_for_each_limit_and_one_for_its_budget() -> None:
    scope = search(limits=EVERYTHING, budget=Budget(nanousd=6, period=Period.MONTH))
    assert [(c.id, c.kind, c.limit, c.scope, c.what) for c in counters_of(scope, NOON)] == [
        ("purse/team:search/month/2026-11", "purse", 6, "team search", "budget of the month 2026-11"),
        ("window/team:search/requests", "window", 1, "team search", "requests per minute"),
        ("window/team:search/tokens", "window", 2, "team search", "tokens per minute"),
        ("window/team:search/input_tokens", "window", 3, "team search", "input tokens per minute"),
        ("window/team:search/output_tokens", "window", 4, "team search", "output tokens per minute"),
        ("slots/team:search", "slots", 5, "team search", "calls at once"),
    ]


def test_a_scope_without_limits_has_no_counters() -> None:
    assert counters_of(search(limits=Limits(max_body_bytes=10)), NOON) == ()


def test_a_limit_of_nothing_is_a_limit() -> None:
    (counter,) = counters_of(search(limits=Limits(tokens_per_minute=0)), NOON)
    assert counter.limit == 0


def test_a_soft_budget_has_a_soft_purse_and_its_windows_stay_hard() -> None:
    scope = search(limits=Limits(concurrency=1), budget=Budget(nanousd=1, is_hard=False))
    assert [(c.kind, c.is_hard) for c in counters_of(scope, NOON)] == [("purse", False), ("slots", True)]


def test_each_period_has_a_name_of_its_own_in_the_counter() -> None:
    ids = [
        counters_of(search(budget=Budget(nanousd=1, period=period)), NOON)[0].id.removeprefix(
            "purse/team:search/"
        )
        for period in Period
    ]
    assert ids == [
        "day/2026-11-25",
        "week/2026-W48",
        "month/2026-11",
        "total/total",
        "rolling_30d/2026-11-25",
    ]


def test_a_rolling_purse_names_the_counters_of_the_days_before() -> None:
    (counter,) = counters_of(search(budget=Budget(nanousd=1, period=Period.ROLLING_30D)), NOON)
    assert len(counter.past) == 29
    assert counter.past[0] == "purse/team:search/rolling_30d/2026-11-24"
    assert counter.past[-1] == "purse/team:search/rolling_30d/2026-10-27"


def test_the_purse_changes_with_the_period_and_back_when_the_clock_is_put_back() -> None:
    scope = ScopeCounters(
        search(limits=EVERYTHING, budget=Budget(nanousd=1, period=Period.DAY, timezone="Europe/Berlin"))
    )
    midnight = datetime(2026, 3, 29, tzinfo=BERLIN).timestamp()
    before, after = scope.at(midnight - 0.001), scope.at(midnight)
    assert before[0].id == "purse/team:search/day/2026-03-28"
    assert after[0].id == "purse/team:search/day/2026-03-29"
    assert all(one is other for one, other in zip(before[1:], after[1:], strict=True))
    assert scope.at(midnight - 0.001) == before
    assert scope.at(midnight + 400 * 86_400)[0].id == "purse/team:search/day/2027-05-03"


def test_counters_are_made_once_for_a_period() -> None:
    scope = ScopeCounters(search(limits=EVERYTHING, budget=Budget(nanousd=1, period=Period.MONTH)))
    assert scope.at(NOON) is scope.at(NOON + 86_400)


def test_what_a_window_counts_is_told_from_names_with_slashes_in_them() -> None:
    scope = Scope(id="end_user:a/tokens", name="a/tokens", limits=EVERYTHING)
    windows = [c for c in counters_of(scope, NOON) if c.kind is CounterKind.WINDOW]
    assert [measure_of(c) for c in windows] == ["requests", "tokens", "input_tokens", "output_tokens"]
    assert windows[0].scope == "end user a/tokens"
