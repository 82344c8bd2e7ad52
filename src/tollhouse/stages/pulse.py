"""Signs of life for a caller who waits: some reasoning models say nothing for minutes, and proxies cut silent lines.

A heartbeat goes out between frames only: whatever deliver writes is whole frames, and it writes them at once. It is no
part of the answer: `Passage.first_byte` and `Passage.response_bytes` count without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tollhouse.core.passage import Passage
from tollhouse.ports.reply import HeaderList, Reply

_TICKS: Final = 4
"""Looks at the stream in the time a silence may last: so it is told from a stream that flows without any work for the
chunks of that, and lasts a quarter longer at most."""


class Pulse:
    """The heartbeat of one stream. One timer, armed anew when it fires."""

    __slots__ = (
        "_after_s",
        "_loop",
        "_on_start",
        "_passage",
        "_quiet_ticks",
        "_reply",
        "_seen_bytes",
        "_timer",
        "is_started_by_it",
    )

    def __init__(
        self,
        reply: Reply,
        passage: Passage,
        *,
        after_s: float,
        on_start: Callable[[], tuple[int, HeaderList]],
    ) -> None:
        """A heartbeat of the passage's kind of stream for every `after_s` seconds without a byte of the answer; 0 turns
        it off. `on_start` says with which status and headers the answer starts, should it not have started by then.
        """
        self._reply = reply
        self._passage = passage
        self._after_s = after_s
        self._on_start = on_start
        self._seen_bytes = 0
        self._quiet_ticks = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_started_by_it = False
        """Whether the answer began with a heartbeat: its status and headers were chosen before anything was known."""

    def begin(self) -> None:
        """The silence begins now."""
        if self._after_s > 0:
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(self._after_s / _TICKS, self._tick)

    def stop(self) -> None:
        """No heartbeat after this. May be called more than once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self._reply.is_gone:
            self._timer = None
            return
        sent = self._passage.response_bytes
        if sent != self._seen_bytes:
            self._seen_bytes = sent
            self._quiet_ticks = 0
        else:
            self._quiet_ticks += 1
            if self._quiet_ticks == _TICKS:
                self._quiet_ticks = 0
                self._beat()
        assert self._loop is not None
        self._timer = self._loop.call_later(self._after_s / _TICKS, self._tick)

    def _beat(self) -> None:
        reply, kind = self._reply, self._passage.stream_kind
        if not reply.is_started:
            status, headers = self._on_start()
            reply.start(status, headers, kind.opening)
            self._passage.status = status
            self.is_started_by_it = True
        reply.beat(kind.heartbeat)
