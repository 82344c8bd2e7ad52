"""A window that slides in quarters of a second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.limits.window import COUNTED_CELLS, SPAN_S, Window, cell_at, free_at


def test_window_counts_the_present_quarter_and_the_240_before_it() -> None:
    window = Window()
    window.add(5, 1_000)
    assert window.used(1_000) == 5
    assert window.used(1_240) == 5
    assert window.used(1_241) == 0


@given(st.floats(0, 1e9), st.floats(0, 60))
def test_any_two_moments_within_sixty_seconds_are_in_one_window(start: float, later_s: float) -> None:
    assert cell_at(start + later_s) - cell_at(start) < COUNTED_CELLS


@given(st.floats(0, 1e9))
def test_what_was_used_is_free_when_it_says(now: float) -> None:
    cell = cell_at(now)
    assert cell_at(free_at(cell)) - cell == COUNTED_CELLS
    assert 60.0 <= free_at(cell) - now <= SPAN_S


def test_window_takes_a_time_that_went_back_for_the_latest_it_knows() -> None:
    window = Window()
    window.add(3, 1_000)
    window.add(4, 400)
    assert window.used(0) == 7
    assert window.used(1_240) == 7, "what came with an earlier time is as fresh as the rest"
    assert window.used(1_241) == 0


def test_window_is_empty_after_a_jump_forward_of_any_size() -> None:
    for jump in (241, 10_000, 10**12):
        window = Window()
        window.add(3, 1_000)
        assert window.used(1_000 + jump) == 0
        assert window.empty_in_s(free_at(1_000 + jump)) == 0.0


def test_window_gives_back_no_more_than_a_quarter_holds() -> None:
    window = Window()
    window.add(3, 1_000)
    window.add(4, 1_001)
    window.give_back(10, 1_000)
    assert window.used(1_001) == 4
    window.give_back(1, 1_000)
    assert window.used(1_001) == 4
    window.give_back(1, 1_001)
    assert window.used(1_001) == 3


def test_window_says_when_an_amount_fits_and_when_none_ever_will() -> None:
    window = Window()
    window.add(6, 1_000)
    window.add(4, 1_100)
    now = 280.0
    assert window.fits_in_s(0, 10, now) == 0.0
    assert window.fits_in_s(6, 10, now) == free_at(1_000) - now
    assert window.fits_in_s(7, 10, now) == free_at(1_100) - now
    assert window.fits_in_s(11, 10, now) is None
    assert window.empty_in_s(now) == free_at(1_100) - now


def test_window_fits_what_it_promised_to_the_moment() -> None:
    window = Window()
    window.add(10, 1_003)
    now = 251.1
    wait_s = window.fits_in_s(1, 10, now)
    assert wait_s is not None
    assert window.fits_in_s(1, 10, now + wait_s - 0.001) != 0.0
    assert window.fits_in_s(1, 10, now + wait_s) == 0.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "give back"]),
            st.integers(0, 50),
            st.integers(-300, 300),
            st.integers(0, 300),
        ),
        max_size=200,
    )
)
def test_window_holds_the_sum_over_its_quarters_and_no_more_of_them_than_count(
    steps: list[tuple[str, int, int, int]],
) -> None:
    window, kept, now = Window(), dict[int, int](), 10_000
    window.used(now)
    for what, amount, moved, back in steps:
        at = now + moved
        now = max(now, at)
        if what == "add":
            window.add(amount, at)
            kept[now] = kept.get(now, 0) + amount
        else:
            window.used(at)
            cell = now - back
            if now - cell < COUNTED_CELLS:
                window.give_back(amount, cell)
                kept[cell] = max(kept.get(cell, 0) - amount, 0)
        expected = sum(held for cell, held in kept.items() if now - cell < COUNTED_CELLS)
        assert window.used(at) == expected >= 0


def test_window_keeps_at_most_one_figure_for_each_quarter_that_counts() -> None:
    window = Window()
    for cell in range(10_000):
        for _ in range(3):
            window.add(1, cell)
    assert window.used(9_999) == 3 * COUNTED_CELLS
    assert len(window._amounts) == COUNTED_CELLS
