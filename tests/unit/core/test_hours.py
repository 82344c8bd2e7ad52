"""Windows of the week are read as people write them."""

from __future__ import annotations

import pytest

from tollhouse.core.hours import Window, parse_window

WORKDAYS = frozenset(range(5))
ALWAYS = frozenset(range(7))


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("Mon-Fri 08:00-18:00 Europe/Berlin", Window(WORKDAYS, 480, 1_080, "Europe/Berlin")),
        ("08:00-18:00", Window(ALWAYS, 480, 1_080, "UTC")),
        ("Sat,Sun", Window(frozenset([5, 6]), 0, 1_440, "UTC")),
        ("mon,wed-fri 00:00-24:00 Asia/Kathmandu", Window(frozenset([0, 2, 3, 4]), 0, 1_440, "Asia/Kathmandu")),
        ("Fri-Mon 09:30-10:00 UTC", Window(frozenset([4, 5, 6, 0]), 570, 600, "UTC")),
        ("Tue 22:00-06:00", Window(frozenset([1]), 1_320, 1_800, "UTC")),
        ("Tue 06:00-06:00", Window(frozenset([1]), 360, 1_800, "UTC")),
        ("Europe/Berlin", Window(ALWAYS, 0, 1_440, "Europe/Berlin")),
        ("  Sun   10:00-11:00   Etc/GMT+5 ", Window(frozenset([6]), 600, 660, "Etc/GMT+5")),
    ],
)  # fmt: skip
def test_window_is_read_with_what_is_left_out(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    ["", " ", "Mon-Fri 8:00-18:00", "Mon 08:00-25:00", "Mon 08:60-09:00", "Mon-Funday 08:00-09:00", "24:00-08:00",
     "Mon 08:00-18:00 Europe/Berlin please", "08:00-18:00 Mon", "Mon; 08:00", "Mon 08:00-18:00 ../etc/passwd"],
)  # fmt: skip
def test_what_is_no_window_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"Write"):
        parse_window(text)
