"""An upstream that bills every call the most it may, and keeps the only account that nobody can argue with."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

OUTPUT_TOKENS = 1_000
USD_PER_MILLION = 10
CENTS_PER_CALL = 1
"""1,000 tokens of output at ten dollars a million; input costs nothing."""


class Biller:
    """Answers chat completions, each after `delay_s`, with as many tokens of output as the caller allows. In a thread
    and a loop of its own."""

    def __init__(self, delay_s: float = 0.05) -> None:
        self.delay_s = delay_s
        self.billed = 0
        """Calls that have come: a provider bills what it was asked, whether anybody waits for the answer or not."""
        self.times: list[float] = []
        """When each came, on the monotonic clock."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="biller", daemon=True)
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"

    async def _answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.billed += 1
        self.times.append(self._loop.time())
        await asyncio.sleep(self.delay_s)
        tokens = min(OUTPUT_TOKENS, asked.get("max_tokens") or asked["max_completion_tokens"])
        return web.json_response(
            {
                "id": f"chatcmpl-{self.billed}",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "stop"}
                ],
                "usage": {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9},
            }
        )
