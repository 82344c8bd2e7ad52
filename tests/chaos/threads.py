"""Servers of the rig run on an event loop of their own, so that a scenario that blocks never holds them up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Thread
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
_PATIENCE_S = 30.0


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns on that loop; blocks the caller."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(_PATIENCE_S)

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""

        async def cancel_all() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.wait_for(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_PATIENCE_S)
        self.loop.close()
