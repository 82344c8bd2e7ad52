"""Word of changes among replicas: a hint to look now. A word that is missed only means to look a little later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from tollhouse.ports.clock import Clock

from .breaker import Breaker
from .counters import DIAL_S, NAMESPACE
from .line import BankUnreachable, Line, check_url

CHANNEL: Final = "{{{namespace}}}:news"
SILENCE_S: Final = 5.0
"""After that it is asked whether the other end is still there."""
ANSWER_S: Final = 0.25


class RedisNews:
    """Everybody who publishes is heard by everybody who listens, while the server is there."""

    def __init__(
        self, url: str, clock: Clock, *, namespace: str = NAMESPACE, silence_s: float = SILENCE_S
    ) -> None:
        """Raises: ValueError for a wrong address."""
        check_url(url)
        self._url = url
        self._channel = CHANNEL.format(namespace=namespace)
        self._silence_s = silence_s
        self._breaker = Breaker(clock.draw)
        self._callbacks: list[Callable[[str | None], None]] = []
        self._listening: asyncio.Task[None] | None = None
        self._mouth: Line | None = None
        self._turn = asyncio.Lock()
        self.is_listening = False

    def subscribe(self, callback: Callable[[str | None], None]) -> None:
        """It is called with each topic, and with None whenever something may have been missed: look at everything."""
        self._callbacks.append(callback)

    async def start(self) -> None:
        """Listen from now on, for ever; does not wait for the server. Again does nothing."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

    async def publish(self, topic: str) -> bool:
        """Tell all that listen. Returns: whether it has been said; it is not said again."""
        async with self._turn:
            try:
                if self._mouth is None:
                    line = Line(self._url)
                    await line.dial(DIAL_S)
                    self._mouth = line
                await self._mouth.ask("PUBLISH", self._channel, topic, timeout_s=ANSWER_S)
            except BankUnreachable:
                self._mouth = None
                return False
            except asyncio.CancelledError:
                self._mouth = None
                raise
            return True

    async def close(self) -> None:
        """Again does nothing."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None
        if self._mouth is not None:
            await self._mouth.hang_up()
            self._mouth = None

    async def _listen(self) -> None:
        while True:
            line = Line(self._url)
            try:
                await line.dial(DIAL_S)
                await line.say("SUBSCRIBE", self._channel)
                await self._hear(line)
            except BankUnreachable:
                self._breaker.bad()
            finally:
                self.is_listening = False
                await line.hang_up()
            await asyncio.sleep(self._breaker.rest_s())

    async def _hear(self, line: Line) -> None:
        """Raises: BankUnreachable."""
        is_asked = False
        while True:
            heard = await line.hear(self._silence_s)
            if heard is None:
                if is_asked:
                    raise BankUnreachable("it is silent")
                await line.say("PING")
                is_asked = True
                continue
            is_asked = False
            if heard[0] == b"subscribe":
                self._breaker.good()
                self.is_listening = True
                self._tell(None)
            elif heard[0] == b"message":
                self._tell(heard[2].decode("utf-8", "replace"))

    def _tell(self, topic: str | None) -> None:
        for callback in self._callbacks:
            callback(topic)
