"""Nobody grants more than they hold."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.holding import Holding, covers_budget, covers_glob, excess, excess_of_all
from tollhouse.core.limits import Budget, Limits, Period

LETTERS = "ab"
GLOBS = st.text(alphabet="ab*?[]!-", max_size=7)
NAMES = ["".join(letters) for length in range(5) for letters in product(LETTERS + "-", repeat=length)]
COUNTS = st.one_of(st.none(), st.integers(1, 4))
LIMITS = st.builds(Limits, requests_per_minute=COUNTS, concurrency=COUNTS, tokens_per_minute=COUNTS)
BUDGETS = st.builds(
    Budget,
    nanousd=st.integers(0, 4),
    period=st.sampled_from(list(Period)),
    timezone=st.sampled_from(["UTC", "Asia/Tokyo"]),
)
NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.168.0.0/16", "2001:db8::/32", "2001:db8:1::/48"]
HOURS = [
    "Mon-Fri 08:00-18:00",
    "Tue 09:00-10:00",
    "08:00-18:00",
    "Sat,Sun",
    "Mon-Fri 08:00-18:00 Asia/Tokyo",
    "22:00-06:00",
]
HOLDINGS = st.builds(
    Holding,
    routes=st.one_of(st.none(), st.lists(GLOBS, max_size=3).map(tuple)),
    limits=LIMITS,
    budget=st.one_of(st.none(), BUDGETS),
    doors=st.lists(st.sampled_from(["chat", "embeddings"]), max_size=2, unique=True).map(tuple),
    networks=st.lists(st.sampled_from(NETWORKS), max_size=2).map(tuple),
    hours=st.lists(st.sampled_from(HOURS), max_size=2).map(tuple),
    max_output_tokens=COUNTS,
    expires_at=st.one_of(st.none(), st.floats(1, 4)),
)


@given(GLOBS, GLOBS)
def test_glob_that_covers_another_matches_everything_that_one_does(held: str, wanted: str) -> None:
    if covers_glob(held, wanted):
        assert [name for name in NAMES if fnmatchcase(name, wanted) and not fnmatchcase(name, held)] == []


@given(GLOBS)
def test_glob_covers_itself_and_a_star_covers_all(glob: str) -> None:
    assert covers_glob(glob, glob)
    assert covers_glob("*", glob)


@pytest.mark.parametrize(
    ("held", "wanted", "covers"),
    [
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-*", True),
        ("gpt-*", "gpt-4*", True),
        ("gpt-*", "gpt*", False),
        ("gpt-*", "*", False),
        ("gpt-?", "gpt-*", False),
        ("gpt-*", "gpt-?", True),
        ("*mini", "gpt-*mini", True),
        ("gpt-[45]", "gpt-4", True),
        ("gpt-[45]", "gpt-[45]", True),
        ("gpt-[45]", "gpt-6", False),
        ("gpt-[!4]", "gpt-4", False),
        ("GPT-*", "gpt-4", False),
        ("a*b*c", "axbxc", True),
        ("a*b*c", "a*c", False),
    ],
)
def test_glob_covers_another(held: str, wanted: str, covers: bool) -> None:
    assert covers_glob(held, wanted) is covers


def test_covering_takes_no_longer_for_many_stars() -> None:
    """In the product of the lengths: a pattern that backtracks would not end."""
    assert not covers_glob("*a" * 60 + "b", "*a" * 100)


@given(HOLDINGS, HOLDINGS, HOLDINGS)
def test_what_is_within_something_that_is_within_a_third_is_within_that(
    outer: Holding, middle: Holding, inner: Holding
) -> None:
    """However often something is handed on, nothing comes to more than the first had; what is not said is inherited."""
    if excess(middle, outer) == () and excess(inner, middle) == ():
        beyond = set(excess(inner, outer))
        inherited = {
            *[f"limits.{name}" for name in Limits.__struct_fields__ if getattr(middle.limits, name) is None],
            *(["budget"] if middle.budget is None else []),
        }
        assert beyond <= inherited
        assert set(excess_of_all(inner, [middle, outer])) == beyond


@given(HOLDINGS)
def test_holding_is_within_itself(holding: Holding) -> None:
    assert excess(holding, holding) == ()


@given(HOLDINGS)
def test_who_holds_nothing_in_particular_may_grant_anything(wanted: Holding) -> None:
    assert excess(wanted, Holding()) == ()


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Holding(routes=("*",)), "routes"),
        (Holding(), "routes"),
        (Holding(routes=("gpt-4",), limits=Limits(requests_per_minute=11)), "limits.requests_per_minute"),
        (Holding(routes=(), budget=Budget(nanousd=6, period=Period.MONTH)), "budget"),
        (Holding(routes=(), budget=Budget(nanousd=5, period=Period.DAY)), "budget"),
        (Holding(routes=(), doors=("embeddings",)), "doors"),
        (Holding(routes=(), networks=("10.0.0.0/7",)), "networks"),
        (Holding(routes=(), networks=("::ffff:10.1.0.0/112",)), "networks"),
        (Holding(routes=(), hours=("Mon-Sat 08:00-18:00",)), "hours"),
        (Holding(routes=(), hours=("Mon 07:59-18:00",)), "hours"),
        (Holding(routes=(), hours=("Mon 20:00-06:00",)), "hours"),
        (Holding(routes=(), hours=("Mon 09:00-10:00 Asia/Tokyo",)), "hours"),
        (Holding(routes=(), max_output_tokens=101), "max_output_tokens"),
        (Holding(routes=(), expires_at=1001.0), "expires_at"),
    ],
)
def test_what_goes_beyond_is_named(wanted: Holding, field: str) -> None:
    held = Holding(
        routes=("gpt-*",),
        limits=Limits(requests_per_minute=10),
        budget=Budget(nanousd=5, period=Period.MONTH),
        doors=("chat",),
        networks=("10.0.0.0/8",),
        hours=("Mon-Fri 08:00-18:00",),
        max_output_tokens=100,
        expires_at=1000.0,
    )
    assert field in excess(wanted, held)


def test_what_is_not_bounded_where_the_holder_is_goes_beyond() -> None:
    held = Holding(
        doors=("chat",), networks=("10.0.0.0/8",), hours=("Mon",), max_output_tokens=1, expires_at=1.0
    )
    assert excess(Holding(), held) == ("doors", "networks", "hours", "max_output_tokens", "expires_at")


def test_budget_is_covered_only_where_no_period_of_it_can_take_the_money_of_two() -> None:
    month = Budget(nanousd=5, period=Period.MONTH)
    assert covers_budget(month, Budget(nanousd=5, period=Period.TOTAL))
    assert covers_budget(Budget(nanousd=5, period=Period.DAY), month)
    assert not covers_budget(Budget(nanousd=5, period=Period.WEEK), month)
    assert not covers_budget(month, Budget(nanousd=5, period=Period.ROLLING_30D))
    assert not covers_budget(month, Budget(nanousd=5, period=Period.MONTH, timezone="Asia/Tokyo"))
