"""An event loop that does not wait: where nothing is to be done until some time, it is that time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its clock begins at 0 and knows no time but what is slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        """Turns of the loop, the present one included."""
        self.on_step: Callable[[int], None] | None = None
        """Told of each before anything runs in it."""
        super().__init__(_Leaps(self))

    def time(self) -> float:
        return self.now


class _Leaps(selectors.SelectSelector):
    def __init__(self, loop: LeapingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.now += max(timeout or 0.0, 0.0)
        self._loop.steps += 1
        if self._loop.on_step is not None:
            self._loop.on_step(self._loop.steps)
        return super().select(0)


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Hours of it take no time."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main)
