"""The scripted upstream: a provider that does what a test tells it.

```python
with ScriptedUpstream() as upstream:
    upstream.script(status=429, retry_after_s=1)      # the next call
    upstream.script(fault="cut", after_chunks=2)      # the one after it
    ...                                               # point a gateway or an SDK at upstream.base_url
    assert upstream.received[0].headers["authorization"] == "Bearer …"
```

Calls beyond the queued scripts are answered well, or as the request itself asks: in the header `x-mock-script`, in the
body member `mock`, or in the model's name (`mock-chat@fault=cut`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import uvloop

from tollhouse.providers.mock.received import Received
from tollhouse.providers.mock.script import parse

_T = TypeVar("_T")
_PATIENCE_S: Final = 30.0
"""For the thread to start, to answer or to end: more means that it hangs."""


class AsyncScriptedUpstream:
    """A scripted upstream on the event loop of the test: `async with AsyncScriptedUpstream() as upstream`."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, require_key: str | None = None) -> None:
        """`port` 0 takes a free one. With `require_key`, calls without that bearer credential get 401."""
        from tollhouse.bootstrap import mock_server  # noqa: PLC0415 - the rest of the kit goes without the house

        self._server = mock_server(host, port, require_key=require_key)

    async def __aenter__(self) -> Self:
        """Raises: OSError, when the port is taken."""
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    @property
    def base_url(self) -> str:
        """What an SDK or a provider's configuration takes as its base URL."""
        return self._server.base_url

    @property
    def url(self) -> str:
        """The root; the doors under `/_mock/` lie below it."""
        return self._server.url

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def count(self) -> int:
        """Calls since the start or the last reset."""
        return self._server.count

    @property
    def received(self) -> Sequence[Received]:
        """The calls remembered, oldest first: the last 10,000, fewer where their bodies are large."""
        return self._server.received

    @property
    def open_connections(self) -> int:
        return self._server.open_connections

    def script(self, **fields: object) -> None:
        """Queue the script of one call; without fields a good answer. Raises: ScriptRefused, naming the field."""
        self._server.script(parse(fields, place="this call"))

    def always(self, **fields: object) -> None:
        """The script of all calls without a queued one; without fields good answers, whatever the requests ask.
        Raises: ScriptRefused, naming the field."""
        self._server.always(parse(fields, place="this call"))

    def forget_scripts(self) -> None:
        """Forget the queued scripts and the standing one: calls have again what they ask for."""
        self._server.forget_scripts()

    def reset(self) -> None:
        """Forget calls and scripts, queued and standing ones; connections live on."""
        self._server.reset()

    def require_key(self, key: str | None) -> None:
        """From now on demand this bearer credential; None opens to all."""
        self._server.require_key = key

    async def wait_received(self, count: int, timeout_s: float = 5.0) -> None:
        """Return when at least `count` calls have come. Raises: TimeoutError."""
        await self._server.wait_received(count, timeout_s)

    async def wait_ended(self, index: int = -1, timeout_s: float = 5.0) -> Received:
        """`received[index]`, as soon as its fate is known. Raises: TimeoutError."""
        return await self._server.wait_ended(index, timeout_s)

    async def wait_closed(self, index: int = -1, timeout_s: float = 5.0) -> Received:
        """`received[index]`, as soon as the connection it came over is lost; `closed_at` says when, `fate` by whom.
        Raises: TimeoutError."""
        return await self._server.wait_closed(index, timeout_s)


class ScriptedUpstream:
    """A scripted upstream on a thread and event loop of its own, for tests without one: `with ScriptedUpstream() as
    upstream`. Names and meanings are those of `AsyncScriptedUpstream`; every method may be called from any thread."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, require_key: str | None = None) -> None:
        """`port` 0 takes a free one. With `require_key`, calls without that bearer credential get 401."""
        self._inner = AsyncScriptedUpstream(host=host, port=port, require_key=require_key)
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = Thread(target=self._run, name="scripted-upstream", daemon=True)

    def __enter__(self) -> Self:
        """Raises: OSError, when the port is taken."""
        self._thread.start()
        try:
            self._await(self._inner.__aenter__())
        except BaseException:
            self._end_thread()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._await(self._inner.__aexit__(kind, error, trace))
        finally:
            self._end_thread()

    @property
    def base_url(self) -> str:
        """What an SDK or a provider's configuration takes as its base URL."""
        return self._inner.base_url

    @property
    def url(self) -> str:
        """The root; the doors under `/_mock/` lie below it."""
        return self._inner.url

    @property
    def port(self) -> int:
        return self._inner.port

    @property
    def count(self) -> int:
        """Calls since the start or the last reset."""
        return self._inner.count

    @property
    def received(self) -> Sequence[Received]:
        """The calls remembered, oldest first. The records go on changing while their calls are answered."""
        return self._ask(lambda: self._inner.received)

    @property
    def open_connections(self) -> int:
        return self._inner.open_connections

    def script(self, **fields: object) -> None:
        """Queue the script of one call; without fields a good answer. Raises: ScriptRefused, naming the field."""
        self._ask(lambda: self._inner.script(**fields))

    def always(self, **fields: object) -> None:
        """The script of all calls without a queued one; without fields good answers, whatever the requests ask.
        Raises: ScriptRefused, naming the field."""
        self._ask(lambda: self._inner.always(**fields))

    def forget_scripts(self) -> None:
        """Forget the queued scripts and the standing one: calls have again what they ask for."""
        self._ask(self._inner.forget_scripts)

    def reset(self) -> None:
        """Forget calls and scripts, queued and standing ones; connections live on."""
        self._ask(self._inner.reset)

    def require_key(self, key: str | None) -> None:
        """From now on demand this bearer credential; None opens to all."""
        self._inner.require_key(key)

    def wait_received(self, count: int, timeout_s: float = 5.0) -> None:
        """Return when at least `count` calls have come. Raises: TimeoutError."""
        self._await(self._inner.wait_received(count, timeout_s), timeout_s)

    def wait_ended(self, index: int = -1, timeout_s: float = 5.0) -> Received:
        """`received[index]`, as soon as its fate is known. Raises: TimeoutError."""
        return self._await(self._inner.wait_ended(index, timeout_s), timeout_s)

    def wait_closed(self, index: int = -1, timeout_s: float = 5.0) -> Received:
        """`received[index]`, as soon as the connection it came over is lost; `closed_at` says when, `fate` by whom.
        Raises: TimeoutError."""
        return self._await(self._inner.wait_closed(index, timeout_s), timeout_s)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            loop = runner.get_loop()
            self._ready.set_result(loop)
            loop.run_forever()

    def _end_thread(self) -> None:
        loop = self._ready.result(_PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            raise RuntimeError(f"the scripted upstream did not stop within {_PATIENCE_S:g} s")

    def _ask(self, question: Callable[[], _T]) -> _T:
        """The answer to a question put on the server's own thread, or here where that does not run."""
        if not self._thread.is_alive():
            return question()

        async def ask() -> _T:
            return question()

        return self._await(ask())

    def _await(self, waiting: Coroutine[Any, Any, _T], timeout_s: float = 0.0) -> _T:
        loop = self._ready.result(_PATIENCE_S)
        return asyncio.run_coroutine_threadsafe(waiting, loop).result(timeout_s + _PATIENCE_S)
