"""The two ways a measurement ends without a figure."""

from __future__ import annotations


class BenchImpossible(Exception):
    """Nothing can be measured here. `hint` is what to type or look at."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n    {hint}" if hint else message)


class RunVoid(Exception):
    """One run of one gateway does not count: an answer was wrong, missing or late."""
