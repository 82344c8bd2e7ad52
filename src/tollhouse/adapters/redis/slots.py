"""The calls of this worker that are in flight, and the places it keeps for the next."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.limits import Counter, Left

from .tell import Tell

KIND: Final = 3


class Slots:
    """Those in use and those kept are held at the bank alike."""

    __slots__ = (
        "_busiest",
        "_left_there",
        "_sent",
        "_told",
        "_was_told",
        "counter",
        "free",
        "id",
        "in_use",
        "users",
    )

    def __init__(self, counter: Counter) -> None:
        self.id = counter.id
        self.counter = counter
        self.users = 0
        """Leases and questions that refer to it."""
        self.in_use = 0
        self.free = 0
        """Kept for the next calls."""
        self._busiest = 0
        """The most that were in use at once lately."""
        self._left_there = 0
        self._sent = 0
        self._told = 0
        self._was_told = False

    def has(self, amount: int, counter: Counter, now: float, *, is_leased: bool) -> bool:  # noqa: ARG002
        if not counter.is_hard:
            return True
        # A charge of nothing is refused as well where more than all is used; with something free that is not so.
        return is_leased and self.free >= max(amount, 1) and counter.limit == self.counter.limit

    def take(self, amount: int, counter: Counter, now: float) -> None:  # noqa: ARG002
        self.counter = counter
        self.free = max(0, self.free - amount)
        self._use(amount)

    def take_apart(self, amount: int, counter: Counter, now: float) -> None:  # noqa: ARG002
        self.counter = counter
        self._use(amount)

    def charged(self, amount: int, counter: Counter, now: float) -> None:  # noqa: ARG002
        self._told += amount
        self._use(amount)

    def settle(self, amount: int, used: int, origin: None, now: float) -> Tell:  # noqa: ARG002
        """Places are kept while at least half of all are free; others wait for them where that is not so."""
        self.users -= 1
        self.in_use -= amount
        if not self._was_told or not self.counter.is_hard:
            return Tell.SOON
        if self._left_there * 2 >= self.counter.limit:
            self.free += amount
            return Tell.NOTHING
        return Tell.NOW

    def share_left(self, counter: Counter, owners: int) -> int:
        return counter.limit // owners - self.in_use

    def left(self, counter: Counter, now: float) -> Left:  # noqa: ARG002
        if not self._was_told:
            return Left(max(0, counter.limit - self.in_use), None)
        left = self._left_there + self._told - self.in_use + counter.limit - self.counter.limit
        return Left(max(0, left), None)

    def tidy(self) -> bool:
        """Once a second: more than were needed lately go back. Returns: whether to talk with the bank, which is also to
        hear whether half of all are free yet."""
        needed, self._busiest = self._busiest, self.in_use
        was_free, self.free = self.free, min(self.free, max(0, needed - self.in_use))
        return was_free > 0

    @property
    def is_active(self) -> bool:
        return self.free > 0

    @property
    def is_idle(self) -> bool:
        return self.users == 0 and self.in_use == 0 and self.free == 0 and self._told == 0

    # -- with the bank

    def entry(self, *, is_asked: bool, is_leased: bool) -> list[Any]:
        counter = self.counter
        if is_asked or not is_leased or not counter.is_hard or self._left_there * 2 < counter.limit:
            self.free = 0
        self._sent = self.in_use + self.free
        want = max(0, self._busiest - self.in_use) if counter.is_hard and is_asked else 0
        return [KIND, self.id, counter.limit, 1 if counter.is_hard else 0, self._sent, self.free, want]

    def answered(self, answer: list[int], sent_at: float) -> bool:  # noqa: ARG002
        """Returns: whether there is more to say."""
        if not answer:
            return False
        self._left_there, extra = answer
        self._told = self._sent + extra
        self._was_told = True
        self.free += extra
        return self.free > 0 and self._left_there * 2 < self.counter.limit

    def _use(self, amount: int) -> None:
        self.users += 1
        self.in_use += amount
        self._busiest = max(self._busiest, self.in_use)
