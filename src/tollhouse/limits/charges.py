"""What one call is charged: before it is made with the most it may use, afterwards with what it has used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from tollhouse.core.limits import Charge, Counter, CounterKind, Lease, Unit
from tollhouse.core.usage import Usage, UsageSource

from .counters import INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS, TOKENS, measure_of

_NOTHING: Final = Usage()
_PURSE: Final = CounterKind.PURSE
_WINDOW: Final = CounterKind.WINDOW


class BoundUnknown(Exception):
    """Nobody knows what the call may cost, and a hard budget would have to pay for it."""

    def __init__(self, purse: Counter) -> None:
        super().__init__(purse.id)
        self.purse = purse


class Demand(msgspec.Struct, frozen=True):
    """The most that one call may use."""

    input_tokens: int
    """An estimate."""
    output_tokens: int
    """What the answer is limited to."""
    bound_nanousd: int | None
    """A true bound; None where it is not known."""
    bound_tokens: int | None = None
    """The same for input and output together."""


def charges_of(counters: Iterable[Counter], demand: Demand) -> tuple[Charge, ...]:
    """One charge to each counter, also where it is nothing: what the call has used in fact is booked there later.

    More tokens than the whole limit of a window are charged as the whole limit, so that the call passes when nobody
    else is served. A soft budget is charged nothing for what is not known. Raises: BoundUnknown where a hard one is
    concerned.
    """
    tokens = {
        REQUESTS: 1,
        TOKENS: demand.input_tokens + demand.output_tokens,
        INPUT_TOKENS: demand.input_tokens,
        OUTPUT_TOKENS: demand.output_tokens,
    }
    charges = []
    for counter in counters:
        kind = counter.kind
        if kind is _WINDOW:
            amount = tokens[measure_of(counter)]
            # A limit of no requests, or no tokens, lets nothing pass.
            if amount > counter.limit > 0:
                amount = counter.limit
        elif kind is _PURSE:
            amount = _bound(counter, demand)
        else:
            amount = 1
        charges.append(Charge(counter, amount))
    return tuple(charges)


def used_of(lease: Lease, usage: Usage | None, cost_nanousd: int | None) -> dict[str, int]:
    """For `Counters.settle`, when the call has been sent: tokens and money by counter id.

    What is not known is not named, and so is counted as it was reserved. A usage that is known in part counts for no
    less than was reserved, because the rest may be anything.
    """
    used: dict[str, int] = {}
    tokens = None if usage is None else _tokens(usage)
    is_partial = usage is not None and usage.source is UsageSource.PARTIAL
    for charge in lease.charges:
        counter = charge.counter
        if counter.kind is _PURSE and counter.unit is Unit.NANOUSD:
            if cost_nanousd is not None:
                used[counter.id] = cost_nanousd
        elif counter.kind in (_WINDOW, _PURSE) and tokens is not None:
            amount = tokens.get(_measure(counter))
            if amount is not None:
                used[counter.id] = max(amount, lease.reserved(counter.id)) if is_partial else amount
    return used


def unused_of(lease: Lease) -> dict[str, int]:
    """The same for a call of which nothing was sent: no tokens, no money. It counts as a request all the same."""
    return used_of(lease, _NOTHING, 0)


def _bound(purse: Counter, demand: Demand) -> int:
    if purse.unit is Unit.CALLS:
        return 1
    bound = demand.bound_tokens if purse.unit is Unit.TOKENS else demand.bound_nanousd
    if bound is not None:
        return bound
    if purse.is_hard:
        raise BoundUnknown(purse)
    return 0


def _measure(counter: Counter) -> str:
    """What it counts. Calls are not among what a usage says, and are counted as they were reserved."""
    return counter.unit.value if counter.kind is _PURSE else measure_of(counter)


def _tokens(usage: Usage) -> dict[str, int]:
    """By what windows count; requests are not among it: they are counted as reserved."""
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    return {
        TOKENS: input_tokens + output_tokens,
        INPUT_TOKENS: input_tokens,
        OUTPUT_TOKENS: output_tokens,
    }
