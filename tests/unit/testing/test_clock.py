from __future__ import annotations

import pytest

from tollhouse.ports.clock import Clock
from tollhouse.testing import FakeClock


def test_clock_stands_still_until_it_is_moved():
    clock: Clock = FakeClock(now=100.0, monotonic=5.0)
    assert (clock.now(), clock.now(), clock.monotonic()) == (100.0, 100.0, 5.0)


def test_time_passes_on_both_clocks():
    clock = FakeClock(now=100.0, monotonic=5.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 7.5)


def test_monotonic_clock_does_not_notice_when_the_wall_clock_jumps():
    clock = FakeClock(now=100.0, monotonic=5.0)
    clock.set_now(10.0)
    assert (clock.now(), clock.monotonic()) == (10.0, 5.0)


def test_time_does_not_pass_backward():
    clock = FakeClock()
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_chance_repeats_itself_for_the_same_seed_only():
    def drawn(seed: bytes) -> list[object]:
        clock = FakeClock(seed=seed)
        return [clock.entropy(16), clock.draw(), clock.entropy(16)]

    assert drawn(b"a") == drawn(b"a")
    assert drawn(b"a") != drawn(b"b")


def test_chance_has_the_size_asked_for_and_does_not_repeat_within_a_clock():
    clock = FakeClock()
    drawn = {clock.entropy(10) for _ in range(100)}
    assert len(drawn) == 100
    assert {len(each) for each in drawn} == {10}


def test_draws_lie_between_zero_and_one():
    clock = FakeClock()
    draws = [clock.draw() for _ in range(1000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert 0.4 < sum(draws) / len(draws) < 0.6
