"""Latency is felt at once when it rises and fades with time when it is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.balancing import Standing, Verdict
from tollhouse.balancing.latency import Latency
from tollhouse.core.operation import Operation
from unit.balancing.deployments import CHAT, begin, standing_alone


def answer(standing: Standing, began: float, after_s: float) -> None:
    permit = begin(standing, began)
    permit.heard(began + after_s)
    permit.heard(began + after_s + 50)
    permit.end(Verdict.GOOD, began + after_s + 60)


def test_latency_is_unknown_before_anything_was_heard() -> None:
    standing = standing_alone()
    begin(standing, 100.0).end(Verdict.BAD, 101.0)
    assert standing.latency_s(CHAT, 101.0) is None


def test_latency_is_from_the_beginning_to_the_first_thing_heard() -> None:
    standing = standing_alone()
    answer(standing, 100.0, 0.25)
    assert standing.latency_s(CHAT, 100.25) == pytest.approx(0.25)
    assert standing.view(100.25).latency_s == pytest.approx(0.25)


def test_latency_of_one_kind_of_call_says_nothing_of_another() -> None:
    standing = standing_alone()
    answer(standing, 100.0, 0.25)
    assert standing.latency_s(Operation.EMBEDDINGS, 100.25) is None


def test_one_slow_answer_is_felt_at_once_and_many_quick_ones_do_not_hide_it() -> None:
    latency = Latency()
    for step in range(100):
        latency.note(0.1, 100.0 + step)
    latency.note(5.0, 200.0)
    assert latency.at(200.0) == pytest.approx(5.0)
    for step in range(100):
        latency.note(0.1, 200.0 + step / 100)
    assert latency.at(201.0) == pytest.approx(4.67, rel=0.02)
    for step in range(60):
        latency.note(0.1, 201.0 + step)
    assert latency.at(260.0) == pytest.approx(0.18, rel=0.1)


def test_bad_past_of_an_idle_deployment_fades_by_half_in_ten_seconds_and_is_unknown_after_a_minute() -> None:
    latency = Latency()
    latency.note(8.0, 100.0)
    assert latency.at(110.0) == pytest.approx(4.0)
    assert latency.at(130.0) == pytest.approx(1.0)
    assert latency.at(161.0) is None


def test_trend_needs_more_than_a_few_answers() -> None:
    latency = Latency()
    for step in range(10):
        latency.note(0.1 + step, 100.0 + step)
    assert not latency.is_rising


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(0, 1000)), min_size=1, max_size=50))
def test_latency_is_never_more_than_the_slowest_answer_nor_less_than_nothing(
    answers: list[tuple[float, float]],
) -> None:
    latency = Latency()
    now = 0.0
    for sample_s, passed_s in answers:
        now += passed_s
        latency.note(sample_s, now)
        at = latency.at(now)
        assert at is not None
        assert sample_s * 0.999 <= at <= max(sample for sample, _ in answers) * 1.001
        assert latency.rise >= 0
