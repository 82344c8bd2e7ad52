"""The mock server: listens, chooses each call's script, remembers what it was sent, and tells who asks."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec

from tollhouse.providers.mock import course
from tollhouse.providers.mock.course import Action
from tollhouse.providers.mock.questions import BASE_PATH, Call, Refused
from tollhouse.providers.mock.received import Fate, Received
from tollhouse.providers.mock.script import Marks, Script, ScriptRefused, choose, read_marks

from . import control
from .connection import Connection
from .listener import Listener
from .memory import Memory

MAX_QUEUED: Final = 100_000
"""Scripts that may be queued; more are refused with ValueError."""


class MockServer:
    """The scripted provider on a port of its own. Belongs to the event loop it is started on.

    A call's script is, in this order: the next queued one, the standing one, what the request carries, the plain one.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, require_key: str | None = None) -> None:
        """`port` 0 takes a free one. With `require_key`, calls without that bearer credential get 401."""
        self._host = host
        self._listener = Listener(host, port, self._connect)
        self._connections: set[Connection] = set()
        self._connection_count = 0
        self._memory = Memory()
        self._queue: deque[Script] = deque()
        self._standing: Script | None = None
        self.require_key = require_key
        """The key that opens the mock; may be changed while it runs. None opens it to all."""

    # Life

    async def start(self) -> None:
        """Listen. Raises: OSError, when the port is taken."""
        await self._listener.open()

    async def stop(self) -> None:
        """Cut every connection, give the port up, leave nothing behind. Stopping twice is harmless."""
        await self._listener.close()
        for connection in tuple(self._connections):
            connection.stop()
        await self._memory.wait_for(
            lambda: True if not self._connections else None, 10.0, "its connections to end"
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # What tests ask

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        """The server's root, without a slash at the end: `/_mock/` lies below it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What an SDK takes as its base URL."""
        return self.url + BASE_PATH

    @property
    def count(self) -> int:
        """Calls since the start or the last reset."""
        return self._memory.count

    @property
    def received(self) -> Sequence[Received]:
        """The calls remembered, oldest first: the last 10,000, fewer where their bodies are large."""
        return self._memory.records

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def script(self, script: Script) -> None:
        """Queue the script of one call, first in, first out. Raises: ValueError at the bound."""
        if len(self._queue) >= MAX_QUEUED:
            raise ValueError(f"{MAX_QUEUED} scripts are queued, no more are taken")
        self._queue.append(script)

    def always(self, script: Script | None) -> None:
        """The script of every call that has no queued one; None leaves it to the calls again."""
        self._standing = script

    def reset(self) -> None:
        """Forget calls and scripts; numbers begin again at 1. Connections live on."""
        self._memory.clear()
        self.forget_scripts()

    def forget_scripts(self) -> None:
        """Forget the queued scripts and the standing one."""
        self._queue.clear()
        self._standing = None

    async def wait_received(self, count: int, timeout_s: float = 5.0) -> None:
        """Return when at least `count` calls have come. Raises: TimeoutError."""
        await self._memory.wait_for(
            lambda: True if self._memory.count >= count else None, timeout_s, f"{count} calls"
        )

    async def wait_ended(self, index: int = -1, timeout_s: float = 5.0) -> Received:
        """`received[index]`, as soon as its fate is known. Raises: TimeoutError."""
        return await self._wait(index, timeout_s, "to end", lambda record: record.ended_at is not None)

    async def wait_closed(self, index: int = -1, timeout_s: float = 5.0) -> Received:
        """`received[index]`, as soon as the connection it came over is lost, by whomever. Raises: TimeoutError."""
        return await self._wait(
            index, timeout_s, "to lose its connection", lambda record: record.closed_at is not None
        )

    async def _wait(
        self, index: int, timeout_s: float, what: str, is_so: Callable[[Received], bool]
    ) -> Received:
        def look() -> Received | None:
            records = self._memory.records
            is_there = -len(records) <= index < len(records)
            return records[index] if is_there and is_so(records[index]) else None

        return await self._memory.wait_for(look, timeout_s, f"received[{index}] {what}")

    # What connections ask

    def opened(self, connection: Connection) -> int:
        self._connections.add(connection)
        self._connection_count += 1
        return self._connection_count

    def take(self, call: Call, connection: int) -> tuple[Received | None, Iterator[Action]]:
        """The record of a call, if it is one, and what is to be done."""
        if call.path.startswith(control.PREFIX):
            return None, self._controlled(call)
        marks = read_marks(call.body) if call.body else Marks()
        record = self._remember(call, connection, marks)
        call = msgspec.structs.replace(call, number=record.number)
        try:
            self._check_key(call)
            record.script = self._choose(call, marks)
        except Refused as refused:
            return record, course.refuse(call, refused)
        except ScriptRefused as refused:
            return record, course.refuse(call, Refused(400, str(refused), param="mock"))
        return record, course.perform(call, record.script)

    def ended(self, record: Received, fate: Fate) -> None:
        record.fate = fate
        record.ended_at = time.monotonic()
        self._memory.notify()

    def lost(self, connection: Connection, last: Received | None) -> None:
        self._connections.discard(connection)
        if last is not None:
            last.closed_at = time.monotonic()
        self._memory.notify()

    def refuse_for(self, duration_s: float) -> None:
        self._listener.close_for(duration_s)

    # Inside

    def _connect(self) -> Connection:
        return Connection(self, asyncio.get_running_loop())

    def _remember(self, call: Call, connection: int, marks: Marks) -> Received:
        record = Received(
            number=self._memory.count + 1,
            connection=connection,
            method=call.method,
            path=call.path,
            headers=call.headers,
            body=call.body,
            mock_id=marks.mock_id,
            user=marks.user,
            at=time.monotonic(),
        )
        self._memory.add(record)
        return record

    def _check_key(self, call: Call) -> None:
        if self.require_key is None:
            return
        shown = call.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(shown, f"Bearer {self.require_key}".encode()):
            raise Refused(401, "The mock demands its key as a bearer credential and did not get it.")

    def _choose(self, call: Call, marks: Marks) -> Script:
        if self._queue:
            return self._queue.popleft()
        return self._standing or choose(call.headers, marks)

    def _controlled(self, call: Call) -> Iterator[Action]:
        try:
            body = control.answer(self, call)
        except Refused as refused:
            yield from course.refuse(call, refused)
        else:
            yield course.plain(call, 200, body)
