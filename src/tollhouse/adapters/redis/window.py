"""What this worker may still use of the present quarter of a second, and what it has used in the last sixty."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tollhouse.core.limits import Counter, Left
from tollhouse.limits.window import CELLS_PER_S, COUNTED_CELLS, SPAN_S
from tollhouse.limits.window import Window as Uses

from .tell import Tell

KIND: Final = 2
NOT_THERE: Final = -1


class Origin(NamedTuple):
    """Where a use is counted."""

    there: int
    """The bank's cell; NOT_THERE where it was admitted here, by the worker's own share."""
    here: int
    """This worker's own cell."""


class Window:
    """Both clocks count in cells of a quarter of a second, each from its own beginning. `pace` is 1.0; for tests, how
    many times shorter the window is."""

    __slots__ = (
        "_cell", "_empty_at", "_last_rate", "_left_there", "_own_empty_at", "_pace", "_rate", "_rate_cell",
        "_returns", "_sent_returns", "_sent_untold", "_until", "_untold", "_uses", "_was_told", "counter", "free", "id",
        "users",
    )  # fmt: skip

    def __init__(self, counter: Counter, pace: float) -> None:
        self.id = counter.id
        self.counter = counter
        self._pace = pace
        self.users = 0
        """Leases and questions that refer to it."""
        self._uses = Uses()
        """All that was admitted here, whoever decided it."""
        self.free = 0
        """Handed out in advance, for what is left of one cell."""
        self._cell = NOT_THERE
        """Which of the bank's that is."""
        self._until = 0.0
        """When it ends at the earliest, on this worker's clock: it is reckoned from before the question was sent."""
        self._returns: dict[int, int] = {}
        """What goes back, by the bank's cell."""
        self._sent_returns: dict[int, int] = {}
        self._untold: dict[int, int] = {}
        """What the bank does not know of yet, by own cell."""
        self._sent_untold: dict[int, int] = {}
        self._left_there = 0
        self._was_told = False
        self._empty_at = 0.0
        """When nothing that is known of is in the window any more."""
        self._own_empty_at = 0.0
        """The same of what was admitted here."""
        self._rate_cell = 0
        self._rate = 0
        self._last_rate = 0

    def has(self, amount: int, counter: Counter, now: float, *, is_leased: bool) -> bool:  # noqa: ARG002
        if not counter.is_hard:
            return True
        return self.free >= max(amount, 1) and now < self._until and counter.limit == self.counter.limit

    def take(self, amount: int, counter: Counter, now: float) -> Origin:
        """Use what was handed out."""
        if not counter.is_hard:
            return self.take_apart(amount, counter, now)
        self.users += 1
        self.free -= amount
        return Origin(self._cell, self._note(amount, now))

    def take_apart(self, amount: int, counter: Counter, now: float) -> Origin:
        """Use what the bank has not been asked for; it is told later."""
        self.users += 1
        self.counter = counter
        return Origin(NOT_THERE, self._use_untold(amount, now))

    def charged(self, amount: int, counter: Counter, now: float) -> Origin:  # noqa: ARG002
        self.users += 1
        return Origin(self._cell, self._note(amount, now))

    def settle(self, amount: int, used: int, origin: Origin, now: float) -> Tell:
        """What was not used makes room where it was counted; what was used beyond it is counted now, where it is missed
        by those who come next."""
        self.users -= 1
        unused = amount - max(used, 0)
        if unused == 0:
            return Tell.NOTHING
        if unused < 0:
            self._use_untold(-unused, now)
            return Tell.SOON
        self._uses.give_back(unused, origin.here)
        if origin.there == NOT_THERE:
            untold = self._untold.get(origin.here, 0)
            if untold:
                self._untold[origin.here] = max(0, untold - unused)
            return Tell.NOTHING
        if origin.there == self._cell and now < self._until:
            self.free += unused
            return Tell.NOTHING
        self._returns[origin.there] = self._returns.get(origin.there, 0) + unused
        return Tell.SOON

    def share_left(self, counter: Counter, owners: int, now: float) -> int:
        """Of this worker's share, when each goes by its own."""
        return counter.limit // owners - self._uses.used(self._own_cell(now))

    def share_retry_s(self, amount: int, counter: Counter, owners: int, now: float) -> float | None:
        """When the share has room for so much; None where it never will."""
        if amount > counter.limit:
            return None
        fits_s = self._uses.fits_in_s(amount, counter.limit // owners, now * self._pace)
        return None if fits_s is None else fits_s / self._pace

    def left(self, counter: Counter, now: float) -> Left:
        if now >= self._empty_at:
            return Left(counter.limit, 0.0)
        free = self.free if now < self._until else 0
        left = (
            self._left_there + free
            if self._was_told
            else counter.limit - self._uses.used(self._own_cell(now))
        )
        return Left(min(max(0, left), counter.limit), self._empty_at - now)

    def share_seen(self, counter: Counter, owners: int, now: float) -> Left:
        return Left(max(0, self.share_left(counter, owners, now)), max(0.0, self._own_empty_at - now))

    def tidy(self) -> bool:
        """Once a second: what was handed out for a cell that is over goes back to it."""
        return self.free > 0 or bool(self._returns) or bool(self._untold)

    @property
    def is_active(self) -> bool:
        return self.free > 0

    def is_empty(self, now: float) -> bool:
        """Whether nothing is lost when it is forgotten."""
        return self.users == 0 and self.free == 0 and now >= max(self._empty_at, self._own_empty_at)

    # -- with the bank

    def entry(self, now: float, *, is_asked: bool) -> list[Any]:
        if self.free and (is_asked or now >= self._until):
            self._returns[self._cell] = self._returns.get(self._cell, 0) + self.free
            self.free = 0
        returns = [number for pair in self._returns.items() for number in pair]
        self._sent_returns, self._returns = self._returns, {}
        oldest = self._own_cell(now) - COUNTED_CELLS + 1
        self._sent_untold = {cell: amount for cell, amount in self._untold.items() if cell >= oldest}
        self._untold = {}
        counter = self.counter
        want = (
            max(self._rate, self._last_rate) if is_asked and self._rate_cell >= self._own_cell(now) - 1 else 0
        )
        return [
            KIND, self.id, counter.limit, 1 if counter.is_hard else 0, sum(self._sent_untold.values()), returns, want,
        ]  # fmt: skip

    def answered(self, answer: list[int], sent_at: float) -> bool:
        """Returns: whether there is more to say."""
        self._sent_untold = {}
        if not answer:
            return False
        self._left_there, extra, cell, rest_us, empty_us = answer
        self._was_told = True
        self._empty_at = sent_at + empty_us / 1e6
        if cell != self._cell or extra:
            if self.free:
                self._returns[self._cell] = self._returns.get(self._cell, 0) + self.free
            self.free, self._cell, self._until = extra, cell, sent_at + rest_us / 1e6
        return bool(self._returns)

    def unread(self) -> None:
        """The message has not been read: all of it is to be told again."""
        for cell, amount in self._sent_returns.items():
            self._returns[cell] = self._returns.get(cell, 0) + amount
        self._sent_returns = {}
        self.lost()

    def lost(self) -> None:
        """It is not known whether the message was read. What went back may have come back: it is not sent again. What
        was told may not have been heard: it is told again, and then counts twice rather than not at all."""
        for cell, amount in self._sent_untold.items():
            self._untold[cell] = self._untold.get(cell, 0) + amount
        self._sent_untold = {}

    def _use_untold(self, amount: int, now: float) -> int:
        cell = self._note(amount, now)
        self._untold[cell] = self._untold.get(cell, 0) + amount
        return cell

    def _own_cell(self, now: float) -> int:
        return int(now * self._pace * CELLS_PER_S)

    def _note(self, amount: int, now: float) -> int:
        cell = self._own_cell(now)
        self._uses.add(amount, cell)
        if cell != self._rate_cell:
            self._last_rate = self._rate if cell == self._rate_cell + 1 else 0
            self._rate_cell, self._rate = cell, 0
        self._rate += amount
        self._empty_at = self._own_empty_at = now + SPAN_S / self._pace
        return cell
