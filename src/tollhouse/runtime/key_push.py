"""Changes of keys on their way from the store to every worker.

The store's version is looked at twice a second, and at once when somebody says that something has changed. Each worker
is brought what it does not have yet, beside the others: one that takes nothing in keeps nobody waiting but those who
want to know that everybody has.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Final, Protocol

from tollhouse.core.identity import VirtualKey
from tollhouse.ports.log import Log
from tollhouse.ports.store import StoreUnavailable

from .link import Freshness, Keys
from .seat import Seat
from .workers import Workers

_LOOK_S: Final = 0.5
"""A change made by another house on the same store counts here within two seconds: this, and some for the way."""
_LATE_S: Final = 2.0
"""A store that takes longer to say its version is out of reach: who is not known may have become known meanwhile."""

_TOPIC: Final = "keys"

KeysSince = Callable[[int], Awaitable[tuple[int, Sequence[VirtualKey]]]]
"""The version now, and what has changed since another. Raises: StoreUnavailable."""


class News(Protocol):
    """Word of changes among houses on one store: a hint to look at once, which may be missed."""

    def subscribe(self, callback: Callable[[str | None], None]) -> None:
        """It is called with each topic, and with None whenever something may have been missed."""

    async def start(self) -> None:
        """Listen from now on; does not wait for anybody."""

    async def publish(self, topic: str) -> bool:
        """Tell all that listen; whether it has been said."""

    async def close(self) -> None:
        """Hang up."""


class KeyPush:
    """Keeps what the workers know of keys like the store's."""

    def __init__(
        self,
        workers: Workers,
        version: Callable[[], Awaitable[int]],
        keys_since: KeysSince,
        log: Log,
        news: News | None = None,
    ) -> None:
        """`version` is that of the store's keys now. Raises: StoreUnavailable."""
        self._workers = workers
        self._version = version
        self._keys_since = keys_since
        self._log = log
        self._is_fresh = True
        self._doubtful: set[Seat] = set()
        """Whose workers have been told that there may be keys which they do not know."""
        self._nudged = asyncio.Event()
        self._pushes: set[asyncio.Task[object]] = set()
        self._news = news
        if news is not None:
            news.subscribe(lambda topic: self._nudged.set() if topic in (_TOPIC, None) else None)

    def nudge(self) -> None:
        """Something may have changed: look at once."""
        self._nudged.set()

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        try:
            if self._news is not None:
                await self._news.start()
            while True:
                self._nudged.clear()
                await self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._nudged.wait(), _LOOK_S)
        finally:
            for push in self._pushes:
                push.cancel()
            if self._news is not None:
                await self._news.close()

    async def _look(self) -> None:
        """Begin to bring the workers what they lack; tell them when the store is out of reach."""
        try:
            version = await asyncio.wait_for(self._version(), _LATE_S)
        except StoreUnavailable as error:
            self._is_out_of_reach(str(error))
            return
        except TimeoutError:
            self._is_out_of_reach(f"it has not answered for {_LATE_S:g} seconds")
            return
        self._is_within_reach(version)
        behind = [
            seat
            for seat in self._workers.seats
            if seat.link is not None and seat.keys_version != version and not seat.is_catching_up
        ]
        if behind:
            self._begin(behind)

    def _begin(self, behind: Sequence[Seat]) -> None:
        keys_since = self._remembering()
        for seat in behind:
            self._beside(self._try_push(seat, keys_since))

    def _beside(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.create_task(work)
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)

    async def greet(self, seat: Seat) -> None:
        """Bring a new worker all keys; where the store is out of reach, tell it so."""
        await self._try_push(seat, self._remembering())

    def stand_in(self, seat: Seat, keys: Keys) -> None:
        """Give a new worker keys that are not from the store itself."""
        self._doubtful.add(seat)
        for portion in keys.portions():
            seat.tell(portion)

    async def confirm(self) -> None:
        """Return when every worker there is goes by the store's keys as they are now. Other houses are given a hint.

        Raises: StoreUnavailable; TimeoutError where a worker does not take them over.
        """
        if self._news is not None:
            self._beside(self._news.publish(_TOPIC))
        keys_since = self._remembering()
        pushes = [seat.catch_up(keys_since) for seat in self._workers.seats]
        for outcome in await asyncio.gather(*pushes, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _try_push(self, seat: Seat, keys_since: Callable[[int], Awaitable[Keys]]) -> None:
        try:
            await seat.catch_up(keys_since)
        except StoreUnavailable as error:
            self._is_out_of_reach(str(error))
        except TimeoutError:
            why = "it did not take over the keys in time"
            self._log.error("worker_silent", seat=seat.number, why=why)

    def _remembering(self) -> Callable[[int], Awaitable[Keys]]:
        """What has changed since a version, asked of the store once for all that know the same."""
        known: dict[int, asyncio.Task[Keys]] = {}

        async def read(since: int) -> Keys:
            version, keys = await self._keys_since(since)
            return Keys(version=version, keys=tuple(keys))

        async def keys_since(since: int) -> Keys:
            if since not in known:
                known[since] = asyncio.create_task(read(since))
            return await known[since]

        return keys_since

    def _is_out_of_reach(self, why: str) -> None:
        if self._is_fresh:
            self._log.error("store_unavailable", why=why)
        self._is_fresh = False
        self._doubtful.update(self._workers.seats)
        self._workers.tell(Freshness(is_fresh=False))

    def _is_within_reach(self, version: int) -> None:
        """Those that know all keys of this version are told so. Those that do not are told with the keys they lack, and
        not before: one that is new would be taken for one that is none."""
        if not self._is_fresh:
            self._log.info("store_available")
        self._is_fresh = True
        for seat in [seat for seat in self._doubtful if seat.keys_version == version]:
            self._doubtful.discard(seat)
            seat.tell(Freshness(is_fresh=True))
