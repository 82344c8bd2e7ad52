"""Limits and budgets counted in Redis, for houses of several workers and replicas. Implements ports.counters.Counters.

Most calls are decided here, out of what the bank has handed out in advance; the others by the bank, many at once.
Without the bank a call without a hard budget goes by this worker's share of the limits, one with a hard budget by what
is held here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollhouse.core.limits import WINDOW_S, Charge, Counter, CounterKind, Lease, Left
from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import CountersUnavailable, Exhausted

from .ask import Taking
from .conversation import Conversation, Terms
from .holdings import Holding, Holdings
from .line import check_url
from .purse import Purse
from .slots import Slots
from .standing import Standing
from .tell import Tell

LEASE_S: Final = 30.0
REPLY_S: Final = 0.12
DIAL_S: Final = 0.25
REPORT_S: Final = 0.1
SLOT_RETRY_S: Final = 1.0
"""Nobody knows when a call in flight ends."""
NAMESPACE: Final = "th"

_ID_BYTES: Final = 12
_WINDOW: Final = CounterKind.WINDOW


class _BankLease(Lease):
    __slots__ = ("takings",)

    def __init__(
        self, lease_id: str, charges: tuple[Charge, ...], left: Mapping[str, Left], takings: list[Taking]
    ) -> None:
        super().__init__(lease_id, charges, left)
        self.takings = takings


class RedisCounters:
    """One worker's. See `ports.counters.Counters` for the promises; what they mean while Redis is away is in the words
    of this module."""

    def __init__(
        self,
        url: str,
        owner: str,
        clock: Clock,
        *,
        namespace: str = NAMESPACE,
        owners: int = 1,
        lease_s: float = LEASE_S,
        window_s: float = WINDOW_S,
        reply_s: float = REPLY_S,
        dial_s: float = DIAL_S,
        report_s: float = REPORT_S,
    ) -> None:
        """`owner` is the name this worker writes its journal by, never used twice; `owners` how many workers there are
        as far as is known before the bank says it. Leases and windows must be as long for all. Raises: ValueError for
        a wrong address.
        """
        check_url(url)
        self._clock = clock
        self._monotonic = clock.monotonic
        self._holdings = Holdings(WINDOW_S / window_s)
        self._by_id = self._holdings.by_id
        self.standing = Standing(owners=owners)
        terms = Terms(
            url=url,
            bank=bank_key(namespace),
            owner=owner,
            lease_s=lease_s,
            window_s=window_s,
            reply_s=reply_s,
            dial_s=dial_s,
            report_s=report_s,
        )
        self._conversation = Conversation(terms, self._holdings, self.standing, clock)

    async def start(self) -> None:
        """Returns when the server has answered, or has been found not to; it is tried for ever, whatever it does."""
        await self._conversation.start()

    async def close(self) -> None:
        """Give back what is held, and leave where no call is in flight. Again does nothing."""
        await self._conversation.close()

    async def refresh(self) -> None:
        """Book everything that was settled, and hear what is left of all counters known here, if the bank answers."""
        await self._conversation.refresh()

    @property
    def era(self) -> str:
        """See `ports.counters.Counters`."""
        return self.standing.era

    @property
    def is_exact(self) -> bool:
        """Whether calls are decided by what the bank knows, and not by this worker's share."""
        return self._conversation.is_asking

    async def reserve(self, charges: Sequence[Charge]) -> Lease:
        """Raises: Exhausted; CountersUnavailable, where a purse is hard, it is not held enough of here, and the bank
        cannot be asked."""
        asked = tuple(charges)
        takings = self._take_here(asked)
        if takings is None:
            takings = await self._ask(asked)
        now = self._monotonic()
        left = {
            charge.counter.id: taking[0].left(charge.counter, now)
            for charge, taking in zip(asked, takings, strict=True)
        }
        return _BankLease(self._clock.entropy(_ID_BYTES).hex(), asked, left, takings)

    async def extend(self, lease: Lease, charges: Sequence[Charge]) -> None:
        """Raises: as `reserve`; ValueError for a lease that is settled, or was made elsewhere."""
        if lease.is_settled or not isinstance(lease, _BankLease):
            raise ValueError("only a lease of these counters that is not settled can be extended")
        asked = tuple(charges)
        takings = self._take_here(asked)
        if takings is None:
            takings = await self._ask(asked)
        if _was_settled(lease):  # meanwhile: nobody is left to use it
            self._give_back(takings)
            raise ValueError("the lease was settled while it was extended")
        lease.charges += asked
        lease.takings += takings

    def settle(self, lease: Lease, used: Mapping[str, int]) -> None:
        if lease.is_settled or not isinstance(lease, _BankLease):
            return
        lease.is_settled = True
        takings = lease.takings
        shares = [used.get(taking[0].id, taking[1]) for taking in takings]
        if len(lease.left) < len(takings):
            _share_out(takings, shares, used)
        now = self._monotonic()
        untold, active = self._holdings.untold, self._holdings.active
        for (holding, amount, origin), share in zip(takings, shares, strict=True):
            tell = holding.settle(amount, share, origin, now)
            if tell is not Tell.NOTHING:
                untold[holding.id] = holding
                if tell is Tell.NOW:
                    self._conversation.tell_now()
            if holding.free:
                active[holding.id] = holding

    def left(self, counter: Counter) -> Left:
        holding = self._by_id.get(counter.id)
        if holding is None:
            return Left(counter.limit, 0.0 if counter.kind is _WINDOW else None)
        return holding.left(counter, self._monotonic())

    # -- deciding

    def _take_here(self, asked: tuple[Charge, ...]) -> list[Taking] | None:
        """Take what is held here. None where the bank has to be asked. Raises: as `reserve`."""
        conversation = self._conversation
        if not conversation.is_asking:
            return self._take_apart(asked)
        now, by_id = self._monotonic(), self._by_id
        is_leased = now < conversation.leased_until
        holdings: list[Holding] = []
        for charge in asked:
            counter = charge.counter
            holding = by_id.get(counter.id)
            if holding is None or not holding.has(charge.amount, counter, now, is_leased=is_leased):
                return None
            holdings.append(holding)
        self.standing.decisions_here += 1
        takings: list[Taking] = []
        for charge, holding in zip(asked, holdings, strict=True):
            counter, amount = charge.counter, charge.amount
            takings.append((holding, amount, holding.take(amount, counter, now)))
            if not counter.is_hard:
                self._holdings.untold[holding.id] = holding
        return takings

    def _take(self, holding: Holding, charge: Charge, now: float) -> Taking:
        origin = holding.take(charge.amount, charge.counter, now)
        if not charge.counter.is_hard:
            self._holdings.untold[holding.id] = holding
        return holding, charge.amount, origin

    async def _ask(self, asked: tuple[Charge, ...]) -> list[Taking]:
        """Have the bank decide, but for windows that it does not know all of yet: those go by this worker's share."""
        now = self._monotonic()
        by_share: dict[str, Taking] = {}
        if now < self._conversation.young_until:
            windows = [charge for charge in asked if charge.counter.kind is _WINDOW]
            by_share = {taking[0].id: taking for taking in self._take_apart(windows)}
        rest = [charge for charge in asked if charge.counter.id not in by_share]
        try:
            taken = await self._decided(rest) if rest else []
        except BaseException:
            self._give_back(by_share.values())
            raise
        if taken is None:
            self._give_back(by_share.values())
            return self._take_apart(asked)
        takings = by_share | {taking[0].id: taking for taking in taken}
        return [takings[charge.counter.id] for charge in asked]

    async def _decided(self, rest: Sequence[Charge]) -> list[Taking] | None:
        """None where the bank cannot say. Raises: Exhausted."""
        now, until = self._monotonic(), self._conversation.leased_until
        holdings = [self._holdings.open(charge.counter) for charge in rest]
        if all(
            holding.has(charge.amount, charge.counter, now, is_leased=now < until)
            for charge, holding in zip(rest, holdings, strict=True)
        ):
            return [self._take(holding, charge, now) for charge, holding in zip(rest, holdings, strict=True)]
        return await self._conversation.ask(rest, holdings)

    def _take_apart(self, asked: Sequence[Charge]) -> list[Taking]:
        """Without the bank. Raises: as `reserve`."""
        now = self._monotonic()
        is_leased = now < self._conversation.leased_until
        holdings = [self._holdings.open(charge.counter) for charge in asked]
        is_held = []
        for charge, holding in zip(asked, holdings, strict=True):
            counter, amount = charge.counter, charge.amount
            is_held.append(holding.has(amount, counter, now, is_leased=is_leased))
            if not is_held[-1]:
                self._check_share(holding, charge, now)
        takings: list[Taking] = []
        for charge, holding, held in zip(asked, holdings, is_held, strict=True):
            if held or isinstance(holding, Purse):
                takings.append(self._take(holding, charge, now))
                continue
            self._holdings.untold[holding.id] = holding
            origin: Any = holding.take_apart(charge.amount, charge.counter, now)
            takings.append((holding, charge.amount, origin))
        self.standing.decisions_here += 1
        return takings

    def _check_share(self, holding: Holding, charge: Charge, now: float) -> None:
        """Raises: as `reserve`."""
        counter, amount, owners = charge.counter, charge.amount, self.standing.owners
        if isinstance(holding, Purse):
            raise CountersUnavailable("what is left of a budget cannot be known now: " + self.standing.why)
        if isinstance(holding, Slots):
            left = holding.share_left(counter, owners)
            if amount > left:
                retry_s = SLOT_RETRY_S if amount <= counter.limit else None
                raise Exhausted(charge, Left(max(0, left), None), retry_s)
        elif amount > holding.share_left(counter, owners, now):
            retry_s = holding.share_retry_s(amount, counter, owners, now)
            raise Exhausted(charge, holding.share_seen(counter, owners, now), retry_s)

    def _give_back(self, takings: Any) -> None:
        now = self._monotonic()
        for holding, amount, origin in takings:
            self._holdings.settle(holding, amount, 0, origin, now)


def _was_settled(lease: Lease) -> bool:
    return lease.is_settled


def bank_key(namespace: str) -> str:
    """All keys begin with the same hash tag, so that they lie in one slot of a cluster."""
    return f"{{{namespace}}}:bank"


def _share_out(takings: Sequence[Taking], shares: list[int], used: Mapping[str, int]) -> None:
    """Of a counter that was charged more than once, as much as fits falls to the latest charge, so that it is counted
    for as long as it may have to be; the rest to the earliest, also what is more than was reserved."""
    places: dict[str, list[int]] = {}
    for place, taking in enumerate(takings):
        places.setdefault(taking[0].id, []).append(place)
    for counter_id, of_it in places.items():
        if counter_id not in used or len(of_it) == 1:
            continue
        rest = max(0, used[counter_id])
        for place in reversed(of_it[1:]):
            shares[place] = min(takings[place][1], rest)
            rest -= shares[place]
        shares[of_it[0]] = rest
