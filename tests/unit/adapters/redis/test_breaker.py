"""When a server that does not answer is tried again."""

from __future__ import annotations

from tollhouse.adapters.redis.breaker import LONGEST_REST_S, OPENS_AFTER, Breaker


def test_the_breaker_opens_after_failures_in_a_row_and_closes_with_one_success() -> None:
    breaker = Breaker(lambda: 1.0)
    for _ in range(OPENS_AFTER - 1):
        breaker.bad()
    assert not breaker.is_open
    assert breaker.rest_s() == 0.0
    breaker.good()
    breaker.bad()
    assert not breaker.is_open
    breaker.bad()
    breaker.bad()
    assert breaker.is_open
    breaker.good()
    assert not breaker.is_open


def test_the_breaker_rests_longer_each_time_up_to_a_second_for_ever() -> None:
    breaker = Breaker(lambda: 1.0)
    rests = []
    for _ in range(5_000):
        breaker.bad()
        rests.append(breaker.rest_s())
    assert rests == sorted(rests)
    assert rests[OPENS_AFTER - 1] == 0.05
    assert rests[-1] == LONGEST_REST_S


def test_workers_do_not_come_back_all_at_once() -> None:
    breakers = [Breaker(lambda chance=chance: chance) for chance in (0.0, 0.5, 1.0)]  # type: ignore[misc]
    for breaker in breakers:
        for _ in range(20):
            breaker.bad()
    assert len({breaker.rest_s() for breaker in breakers}) == 3
