"""What this worker has spent of a purse, has reserved, and may still spend without asking."""

from __future__ import annotations

from math import inf
from typing import Any, Final

from tollhouse.core.limits import Counter, Left

from .tell import Tell

KIND: Final = 1


class Purse:
    """All in nano-USD. `spent` only grows: what is told to the bank are sums, so that to tell them again, or late,
    changes nothing.
    """

    __slots__ = (
        "_asked", "_cap", "_left_there", "_need", "_next_need", "_sent", "_sent_spent", "_told", "_told_spent",
        "_was_told", "counter", "free", "id", "reserved", "spent", "used_at", "users", "want",
    )  # fmt: skip

    def __init__(self, counter: Counter) -> None:
        self.id = counter.id
        self.counter = counter
        """As it was asked for last; what is free is good for its limit."""
        self.users = 0
        """Leases and questions that refer to it: while there are any, no other may be made for the same counter."""
        self.spent = 0
        self.reserved = 0
        """For calls in flight."""
        self.free = 0
        """Handed out in advance and not reserved."""
        self.want = 0
        """What it would like to have free: as much as was reserved in a second lately."""
        self.used_at = -inf
        self._sent_spent = 0
        """In the message that is under way."""
        self._sent = 0
        """The same, with what is held."""
        self._told_spent = 0
        """What the bank is known to have heard."""
        self._told = 0
        """Spent and held together, as they were when the bank last said what is left."""
        self._left_there = 0
        self._was_told = False
        self._asked = 0
        self._need = 0
        self._next_need = 0
        self._cap = 0
        """The most that may be free here, as the bank sees it: nothing where that would be less than a call needs."""

    def has(self, amount: int, counter: Counter, now: float, *, is_leased: bool) -> bool:  # noqa: ARG002
        """Whether it can be reserved without asking."""
        if not counter.is_hard:
            return True
        # A charge of nothing is refused as well where more than all is used; with something free that is not so.
        return is_leased and self.free >= max(amount, 1) and counter.limit == self.counter.limit

    def take(self, amount: int, counter: Counter, now: float) -> None:
        self.users += 1
        self._note(amount, now)
        self.reserved += amount
        if counter.is_hard:
            self.free -= amount
        else:
            self.counter = counter
            self.free = max(0, self.free - amount)

    def settle(self, amount: int, used: int, origin: None, now: float) -> Tell:  # noqa: ARG002
        self.users -= 1
        self.used_at = now
        self.reserved -= amount
        used = max(used, 0)
        self.spent += used
        if self.counter.is_hard:
            self.free = max(0, self.free + amount - used)
        return Tell.SOON

    def left(self, counter: Counter, now: float) -> Left:  # noqa: ARG002
        used = self.spent + self.reserved
        if not self._was_told:
            return Left(max(0, counter.limit - used), None)
        left = self._left_there + self._told - used + counter.limit - self.counter.limit
        return Left(max(0, left), None)

    def tidy(self) -> bool:
        """Once a second. What nobody asks for goes back. Returns: whether the bank has to be told."""
        asked, self._asked = self._asked, 0
        self._need, self._next_need = self._next_need, 0
        self.want = max(asked, self.want // 2) if asked else 0
        keep = min(self.want, self._cap)
        if self.free > keep:
            return True
        return self.want > 0 and self.free < keep // 2

    @property
    def is_active(self) -> bool:
        """Whether `tidy` has anything to do."""
        return self.free > 0 or self.want > 0 or self._asked > 0

    @property
    def is_idle(self) -> bool:
        """Whether the bank knows all of it, and nobody refers to it."""
        return self.users == 0 and self.reserved == 0 and self.free == 0 and self._told_spent == self.spent

    # -- with the bank

    def entry(self, ttl_s: int, *, is_asked: bool, is_leased: bool) -> list[Any]:
        """What goes into a message. Where calls are to be decided, what is free goes back first, so that they are
        decided on all there is; the answer hands out anew."""
        counter = self.counter
        if is_asked or not is_leased or not counter.is_hard:
            self.free = 0
        else:
            self.free = min(self.free, self.want, self._cap)
        held = self.reserved + self.free
        self._sent_spent = self.spent
        self._sent = self.spent + held
        want = self.want if counter.is_hard else 0
        need = max(self._need, self._next_need)
        return [
            KIND, self.id, counter.limit, 1 if counter.is_hard else 0, counter.past, ttl_s,
            self.spent, held, self._told_spent, self.free, want, need,
        ]  # fmt: skip

    def answered(self, answer: list[int], sent_at: float) -> bool:  # noqa: ARG002
        """The message has been read: what is left there, and what it hands out. Returns: whether there is more to
        say."""
        if not answer:
            return False
        self._left_there, extra, self._cap = answer
        self._told = self._sent + extra
        self._told_spent = self._sent_spent
        self._was_told = True
        self.free += extra
        return False

    def charged(self, amount: int, counter: Counter, now: float) -> None:  # noqa: ARG002
        """A call has been decided for."""
        self.users += 1
        self._note(amount, now)
        self.reserved += amount
        self._told += amount

    def forget_told(self) -> None:
        """The bank is another one, or has forgotten."""
        self._told_spent = 0

    def _note(self, amount: int, now: float) -> None:
        self.used_at = now
        self._asked += amount
        self._next_need = max(self._next_need, amount)
