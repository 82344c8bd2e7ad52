"""The workers of a house, as their keeper sees them: all seats together, by one configuration and with the same keys.

A worker starts from the edition in force. One that not every worker can serve by is given up, on those as well that
could, for the last that all of them served by: a reload must not be what closes the house, nor what divides it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tollhouse.ports.log import Log

from .edition import Edition
from .link import Freshness, KeySet, Rules
from .seat import Seat, Staffing


class NotTakenOver(Exception):
    """A worker cannot serve by an edition; the text says why."""


class Workers:
    """The staff of all seats. Implements seat.Staff."""

    def __init__(self, staffing: Staffing, edition: Edition, log: Log, seats: int = 1) -> None:
        self.edition = edition
        """In force: served by, or to be started with."""
        self.has_served = False
        """Whether a worker in any seat has ever come as far as serving."""
        self._log = log
        self._proposed: Edition | None = edition
        """An edition that has yet to be served by in all seats at once."""
        self._last_good: Edition | None = None
        """The last that was."""
        self._before = edition
        """What is gone back to as long as none was."""
        self._refusal = ""
        self._deaths = 0
        self._news = asyncio.Condition()
        """Notified of whatever a worker says."""
        self.seats = tuple(Seat(number, staffing, self, log) for number in range(seats))

    async def keep(self, stopping: asyncio.Event) -> None:
        """Keep every seat taken, until it is time to stop. Raises: NeverServed."""
        keeping = [asyncio.create_task(seat.keep(stopping)) for seat in self.seats]
        try:
            await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
            for task in keeping:
                if task.done():
                    task.result()
        finally:
            for task in keeping:
                task.cancel()

    async def stop(self, drain_s: float, on_told: Callable[[], None]) -> None:
        """Have all workers finish what is inside. `on_told` is called when they know that nobody else is to come in."""
        for seat in self.seats:
            seat.dismiss(drain_s)
        on_told()
        await asyncio.gather(*[seat.until_ended(drain_s) for seat in self.seats])

    # -- one configuration

    async def reload(self, edition: Edition, patience_s: float) -> None:
        """Have callers served by another edition: by the workers there are, or by the next where one dies meanwhile.

        Raises: NotTakenOver, and the edition before stays everywhere; TimeoutError, and whoever is late will serve by
        it when it can.
        """
        if self._last_good is None:
            self._before = self.edition
        self.edition = self._proposed = edition
        self._refusal = "The worker ended when it was to serve by it."
        for seat in self.seats:
            seat.go_by(edition)
        await self.until(lambda: self.edition is not edition or self._all_serve_by(edition), patience_s)
        if self.edition is not edition:
            await self._until_nobody_serves_by(edition, patience_s)
            raise NotTakenOver(self._refusal)

    async def _until_nobody_serves_by(self, edition: Edition, patience_s: float) -> None:
        """Those that do not come back from it in time are replaced."""
        try:
            await self.until(lambda: not any(seat.served is edition for seat in self.seats), patience_s)
        except TimeoutError:
            for seat in self.seats:
                if seat.served is edition:
                    seat.replace("it did not come back from a configuration that was given up")

    def _all_serve_by(self, edition: Edition) -> bool:
        return all(seat.served is edition for seat in self.seats)

    def serves(self, seat: Seat, edition: Edition) -> None:  # noqa: ARG002 - the interface
        """See seat.Staff."""
        self.has_served = True
        if self._all_serve_by(edition):
            self._last_good = edition
            if self._proposed is edition:
                self._proposed = None

    def refused(self, seat: Seat, edition: Edition, why: str) -> None:
        """See seat.Staff."""
        if edition is self._proposed:
            self._refusal = why
            self._go_back()
        elif edition is self.edition:
            seat.replace("it cannot serve by the configuration in force any more")

    def died(self, seat: Seat) -> int:
        """See seat.Staff. The worker may have died of the edition it was started with."""
        self._deaths += 1
        last = self._last_good
        if last is not None and self.edition is not last and not seat.is_ready:
            self._go_back()
            self._log.error(
                "reload_undone", config=last.hash, why="the worker could not serve by the new one"
            )
        return self._deaths

    def _go_back(self) -> None:
        """Give the edition that was proposed up, wherever it is served by or on its way."""
        self.edition = before = self._last_good or self._before
        self._proposed = None
        for seat in self.seats:
            if seat.goes_by is not before:
                seat.go_by(before)

    # -- what they say and are told

    async def tell_news(self) -> None:
        """See seat.Staff."""
        async with self._news:
            self._news.notify_all()

    async def until(self, is_so: Callable[[], bool], patience_s: float | None) -> None:
        """See seat.Staff; without patience, for ever."""
        async with asyncio.timeout(patience_s), self._news:
            await self._news.wait_for(is_so)

    async def until_keys_are_known(self) -> None:
        """Return when the workers of all seats have keys, be they none."""
        await self.until(lambda: all(seat.keys_version >= 0 for seat in self.seats), None)

    def tell(self, word: Freshness | Rules | KeySet) -> None:
        """Let every worker there is know."""
        for seat in self.seats:
            seat.tell(word)

    async def ask(self, about: str, patience_s: float) -> dict[int, bytes]:
        """The workers' answers to a question, by the numbers of their seats. Those without one in time are missing."""

        async def answer(seat: Seat) -> bytes | None:
            try:
                return await seat.ask(about, patience_s)
            except (ConnectionError, TimeoutError):
                return None

        answers = await asyncio.gather(*[answer(seat) for seat in self.seats])
        return {number: document for number, document in enumerate(answers) if document is not None}
