"""A call that waits for the bank, and what it takes of what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tollhouse.core.limits import Charge
from tollhouse.ports.counters import Exhausted

from .holdings import Holding

Taking = tuple[Holding, int, Any]
"""What of which holding a call has taken, and where that is counted."""


class Ask:
    """A call that waits for the bank's decision. Until it has ended, by whatever, its holdings are not forgotten."""

    __slots__ = ("_has_ended", "charges", "decision", "holdings")

    def __init__(
        self,
        charges: Sequence[Charge],
        holdings: Sequence[Holding],
        decision: asyncio.Future[list[Taking] | None],
    ) -> None:
        self.charges = charges
        self.holdings = holdings
        self.decision = decision
        """What has been taken; None where the bank cannot say."""
        self._has_ended = False
        for holding in holdings:
            holding.users += 1

    def answer(self, takings: list[Taking] | None) -> None:
        """Returns it to the caller, unless that has gone."""
        self.end()
        if not self.decision.done():
            self.decision.set_result(takings)

    def refuse(self, why: Exhausted) -> None:
        """The same for an error."""
        self.end()
        if not self.decision.done():
            self.decision.set_exception(why)

    def end(self) -> None:
        """Nobody waits for a decision any more. Again does nothing."""
        if not self._has_ended:
            self._has_ended = True
            for holding in self.holdings:
                holding.users -= 1


def involved_in(asks: Sequence[Ask]) -> tuple[dict[str, Holding], list[list[int]]]:
    """The holdings that calls ask for, and the calls by their numbers, from 1."""
    involved: dict[str, Holding] = {}
    numbers: dict[str, int] = {}
    calls: list[list[int]] = []
    for ask in asks:
        call: list[int] = []
        for charge, holding in zip(ask.charges, ask.holdings, strict=True):
            number = numbers.get(holding.id)
            if number is None:
                involved[holding.id] = holding
                number = numbers[holding.id] = len(involved)
                holding.counter = charge.counter
            elif charge.counter.limit < holding.counter.limit:
                holding.counter = charge.counter
            call += (number, charge.amount)
        calls.append(call)
    return involved, calls
