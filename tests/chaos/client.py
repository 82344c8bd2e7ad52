"""A client that keeps to no SDK's opinion of what an answer is: it has the bytes, and how they ended."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp

from chaos import speech
from tollhouse.testing import CanaryScanner


@dataclass
class Answer:
    """What one call got. Times in seconds from its beginning."""

    status: int = 0
    """0 where no status came."""
    headers: dict[str, str] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    took_s: float = 0.0
    first_byte_s: float | None = None
    """Of the body."""
    broke: str = ""
    """How the connection failed; empty where the answer came to its HTTP end."""

    @property
    def is_ok(self) -> bool:
        return self.status == 200 and not self.broke

    @property
    def id(self) -> str:
        return self.headers.get("x-request-id", "")

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of an error that came in place of an answer."""
        try:
            document = self.json()
            return str(document["error"].get("code") or document["error"].get("status"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"status {self.status}, {self.broke or self.body[:80]!r}"


class Client:
    """Calls a house under one key. `async with Client(...) as client`."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        """`secret` must be in no answer."""
        self._url = url
        self._headers = {"authorization": f"Bearer {key}"}
        self._scanner = CanaryScanner({"provider key": secret})
        self._session: aiohttp.ClientSession
        self.calls = 0
        """Requests sent: each has to be a row of the book."""
        self.leaks: list[str] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(
        self,
        model: str,
        dialect: str = speech.CHAT,
        *,
        stream: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """A small question in one of the dialects."""
        path, body = speech.request(dialect, model, stream=stream)
        return await self.post(path, body, headers)

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """One request, to its end. Never raises for what happens to it."""
        self.calls += 1
        answer = Answer()
        pieces: list[bytes] = []
        started = time.monotonic()
        try:
            async with self._session.post(
                self._url + path, json=body, headers={**self._headers, **(headers or {})}
            ) as response:
                answer.status = response.status
                answer.headers = {name.lower(): value for name, value in response.headers.items()}
                async for piece in response.content.iter_any():
                    if answer.first_byte_s is None:
                        answer.first_byte_s = time.monotonic() - started
                    pieces.append(piece)
        except (aiohttp.ClientError, ConnectionError) as error:
            answer.broke = f"{type(error).__name__}: {error}"[:200]
        answer.body = b"".join(pieces)
        answer.took_s = time.monotonic() - started
        self._look_for_secret(answer)
        return answer

    async def ask_many(
        self, count: int, model: str, *, at_once: int = 8, stream: bool = False
    ) -> list[Answer]:
        """So many questions, so many of them at a time."""
        answers: list[Answer] = []
        left = count

        async def ask_on() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                answers.append(await self.ask(model, stream=stream))

        await asyncio.gather(*[ask_on() for _ in range(at_once)])
        return answers

    async def ask_steadily(self, duration_s: float, per_s: float, model: str) -> list[tuple[float, Answer]]:
        """Open loop: a question every 1/`per_s` seconds, whatever becomes of those before. With the moment each was
        asked, on the monotonic clock, in order."""
        began = time.monotonic()
        asked: list[tuple[float, asyncio.Task[Answer]]] = []
        for number in range(int(duration_s * per_s)):
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
            asked.append((time.monotonic(), asyncio.create_task(self.ask(model))))
        return [(at, await task) for at, task in asked]

    def _look_for_secret(self, answer: Answer) -> None:
        told = json.dumps(answer.headers).encode() + answer.body
        if len(told) < 100_000:
            self.leaks += [str(hit) for hit in self._scanner.scan(told, where=f"answer {answer.id}")]


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
