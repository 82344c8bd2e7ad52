"""A connection to the server: one question at a time, each answered within its time or never heard again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)

PRELUDE: Final = "prelude.lua"
MOST_SAID: Final = 200
"""Characters of what a server says is wrong."""


class BankUnreachable(Exception):
    """The server did not answer in time, or not as it should; the message says why, and never where it is."""

    def __init__(self, why: str, *, is_cut: bool = False) -> None:
        super().__init__(why)
        self.is_cut = is_cut
        """The line was there, and is not any more: another one may do."""


def check_url(url: str) -> None:
    """Raises: ValueError for what is no address of such a server."""
    ConnectionPool.from_url(url)


def script_text(name: str) -> str:
    """A script of this package, with what all of them begin with before it."""
    folder = files(__package__)
    return (folder / PRELUDE).read_text("utf-8") + (folder / name).read_text("utf-8")


class Line:
    """Dialled once. Whatever goes wrong on it ends it: an answer that came later would be taken for another's."""

    def __init__(self, url: str, *, script: str | None = None) -> None:
        """`script` is the file that `run` runs. Raises: ValueError for a wrong address."""
        pool = ConnectionPool.from_url(
            url, protocol=2, socket_timeout=None, retry=Retry(NoBackoff(), 0), health_check_interval=0
        )
        self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._script = script_text(script) if script is not None else None
        self._sha = b""
        self.run_id = ""
        """Of the server process: another one after each restart, and after a failover."""

    async def dial(self, timeout_s: float) -> None:
        """Raises: BankUnreachable, also for a server that would lose what it is given."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connection.connect()  # type: ignore[no-untyped-call]
                described = _read_description(await self._exchange("INFO"))
                self.run_id = described["run_id"]
                if self._script is not None:
                    self._sha = await self._exchange("SCRIPT", "LOAD", self._script)
        except (RedisError, OSError, TimeoutError, KeyError) as error:
            await self.hang_up()
            raise _unreachable(error) from None
        except BaseException:
            await self.hang_up()
            raise
        if (why := _unfit(described)) is not None:
            await self.hang_up()
            raise BankUnreachable(why)

    async def run(self, bank: str, request: bytes, timeout_s: float) -> bytes:
        """What the script answers. Where this raises, it may have run all the same, even later.

        Raises: BankUnreachable; the line is dead then.
        """
        assert self._script is not None
        try:
            async with asyncio.timeout(timeout_s):
                try:
                    answer: bytes = await self._exchange("EVALSHA", self._sha, 1, bank, request)
                except NoScriptError:
                    answer = await self._exchange("EVAL", self._script, 1, bank, request)
        except (RedisError, OSError, TimeoutError) as error:
            await self.hang_up()
            raise _unreachable(error) from None
        except BaseException:
            await self.hang_up()
            raise
        return answer

    async def ask(self, *words: str | bytes | int, timeout_s: float) -> Any:
        """One command. Raises: BankUnreachable; the line is dead then."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(*words)
        except (RedisError, OSError, TimeoutError) as error:
            await self.hang_up()
            raise _unreachable(error) from None
        except BaseException:
            await self.hang_up()
            raise

    async def hear(self, timeout_s: float) -> Sequence[Any] | None:
        """What the server says unasked; None where it says nothing in that time. Raises: BankUnreachable."""
        try:
            heard: Sequence[Any] | None = await self._connection.read_response(timeout=timeout_s)
        except (RedisError, OSError) as error:
            await self.hang_up()
            raise _unreachable(error) from None
        return heard

    async def say(self, *words: str) -> None:
        """A command whose answer is heard. Raises: BankUnreachable."""
        try:
            await self._connection.send_command(*words, check_health=False)
        except (RedisError, OSError) as error:
            await self.hang_up()
            raise _unreachable(error) from None

    async def hang_up(self) -> None:
        """Without a word and without waiting. Again does nothing."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._connection.disconnect(nowait=True)

    async def _exchange(self, *words: str | bytes | int) -> Any:
        await self._connection.send_command(*words, check_health=False)
        return await self._connection.read_response()


def _read_description(text: bytes) -> dict[str, str]:
    lines = [line.partition(":") for line in text.decode("utf-8", "replace").splitlines()]
    return {name: value for name, _, value in lines}


def _unfit(described: dict[str, str]) -> str | None:
    """Why what this server is told may be lost, or cannot be written at all."""
    if described.get("role") == "slave":
        return "it is a replica, which takes no writes"
    evicts = described.get("maxmemory_policy", "noeviction") != "noeviction"
    if evicts and described.get("maxmemory", "0") != "0":
        policy = described["maxmemory_policy"]
        return (
            f"it throws away counters when its memory is full: set maxmemory-policy noeviction, not {policy}"
        )
    return None


def _unreachable(error: BaseException) -> BankUnreachable:
    is_answer = isinstance(error, TimeoutError | ResponseError | AuthenticationError | BusyLoadingError)
    return BankUnreachable(_why(error), is_cut=isinstance(error, RedisError | OSError) and not is_answer)


def _why(error: BaseException) -> str:
    """For people. Errors of connections name the address, and that is nobody's business."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, KeyError):
        return "it does not say which server it is"
    if isinstance(error, AuthenticationError):
        return "it does not take the name or the password"
    if isinstance(error, BusyLoadingError):
        return "it is still loading its data"
    if isinstance(error, ResponseError):
        return str(error).partition("\n")[0][:MOST_SAID]
    return "it cannot be reached, or has hung up"
