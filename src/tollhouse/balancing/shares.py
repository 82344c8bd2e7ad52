"""Chance in proportion to weights, made of numbers in [0, 1) that are passed in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import gcd
from typing import Final

_STRIDES: Final = 64


class Shares:
    """Positions 0 to n - 1, each with its weight above 0; n at least 1."""

    __slots__ = ("_cumulative", "_strides", "_total", "weights")

    def __init__(self, weights: Sequence[int]) -> None:
        self.weights = tuple(weights)
        self._cumulative = list(accumulate(weights))
        self._total = self._cumulative[-1]
        self._strides = _strides(len(weights))

    def pick(self, draw: float) -> tuple[int, float]:
        """A position by weight, and what is left of the chance: a number in [0, 1), independent of it."""
        mark = draw * self._total
        position = min(bisect_right(self._cumulative, mark), len(self.weights) - 1)
        weight = self.weights[position]
        return position, max(0.0, mark - self._cumulative[position] + weight) / weight

    def sample(self, draw: float, most: int) -> Sequence[int]:
        """Different positions, the first by weight, the others anywhere: all in a circle, or `most` at random."""
        size = len(self.weights)
        first, left = self.pick(draw)
        if size <= most:
            return [*range(first, size), *range(first)]
        stride = self._strides[int(left * len(self._strides)) % len(self._strides)]
        return [step % size for step in range(first, first + most * stride, stride)]


def _strides(size: int) -> list[int]:
    """Steps by which every position is reached, each once."""
    strides = [stride for stride in range(1, max(2, size)) if gcd(stride, size) == 1]
    return strides[:: max(1, len(strides) // _STRIDES)]
