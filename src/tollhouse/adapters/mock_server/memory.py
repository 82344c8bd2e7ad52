"""What the server remembers: the last calls, within a bound of count and of bytes, and who waits for news of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from tollhouse.providers.mock.received import Received

MAX_RECORDS: Final = 10_000
MAX_RECORDED_BYTES: Final = 64 * 1024 * 1024
"""Of bodies. The oldest calls are forgotten beyond either bound; they stay in the count."""

_T = TypeVar("_T")


class Memory:
    """Calls in order of arrival."""

    def __init__(self) -> None:
        self._records: deque[Received] = deque()
        self._body_bytes = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.count = 0
        """Calls since the start or the last reset, forgotten ones included."""

    @property
    def records(self) -> Sequence[Received]:
        """Those remembered, oldest first: a copy of the list, not of the records."""
        return tuple(self._records)

    def add(self, record: Received) -> None:
        self.count += 1
        self._records.append(record)
        self._body_bytes += len(record.body)
        while len(self._records) > MAX_RECORDS or self._body_bytes > MAX_RECORDED_BYTES:
            self._body_bytes -= len(self._records.popleft().body)
        self.notify()

    def clear(self) -> None:
        self._records.clear()
        self._body_bytes = 0
        self.count = 0
        self.notify()

    def notify(self) -> None:
        """Something has changed: those who wait look again."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait_for(self, look: Callable[[], _T | None], timeout_s: float, what: str) -> _T:
        """What `look` finds, as soon as it finds something. Raises: TimeoutError, which says what was waited for."""
        deadline = time.monotonic() + timeout_s
        while (found := look()) is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(
                    f"The mock waited {timeout_s:g} s in vain for {what}; it has {self.count} calls."
                )
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await asyncio.wait([waiter], timeout=left_s)
        return found
