"""Where limits and budgets are counted: in this process alone, or in one place for all workers and replicas.

Charging is all or nothing over every counter of a call, and exact: no window ever holds more than its limit, no purse
is ever spent beyond its own, whoever asks at the same moment. An implementation that many processes share may hand a
process some of a counter in advance, so that it need not ask for every call; what it has handed out counts as used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tollhouse.core.limits import Charge, Counter, Lease, Left


class Exhausted(Exception):
    """A counter has less left than a call may use. Nothing has been charged to any other."""

    def __init__(self, charge: Charge, left: Left, retry_after_s: float | None) -> None:
        super().__init__(charge.counter.id)
        self.charge = charge
        self.left = left
        self.retry_after_s = retry_after_s
        """When the same call may fit if nobody else is served meanwhile; None where waiting does not help."""


class CountersUnavailable(Exception):
    """It cannot be known now whether there is enough left, and a hard budget is among what would be charged."""


class Counters(Protocol):
    """Used on the serving loop."""

    @property
    def era(self) -> str:
        """Which memory this is, as far as is known here: it is another once what was counted has been lost, also in
        part. Money is then known from the ledger; calls and tokens of purses are not."""

    async def reserve(self, charges: Sequence[Charge]) -> Lease:
        """Charge a call to all counters or to none. Each counter stands in `charges` once.

        A purse that is not hard is charged whatever it holds. Returns without waiting where that can be decided here.
        Raises: Exhausted with the first that has too little, CountersUnavailable.
        """

    async def extend(self, lease: Lease, charges: Sequence[Charge]) -> None:
        """Charge more to a lease, all or nothing, because its call is made once more. Raises: as `reserve`."""

    def settle(self, lease: Lease, used: Mapping[str, int]) -> None:
        """The call is over. `used`, by counter id, is what it has used in fact: also more than was reserved, which is
        booked all the same. A counter not named has used what was reserved. Slots are given back in any case.

        A lease is settled once; again does nothing. Never waits and never raises.
        """

    def left(self, counter: Counter) -> Left:
        """What is known here to be left of a counter, without asking anybody and without charging it."""
