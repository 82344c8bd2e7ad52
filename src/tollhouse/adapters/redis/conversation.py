"""One worker's talk with the bank: one message at a time, each with all that has come up meanwhile.

Calls that ask in one turn of the loop, or while a message is under way, are decided together by the next one. What has
changed is told with it, or by itself ten times a second. A message that is not answered in time ends the line; what
nobody knows of it then is settled by the next one, which says again all that this worker holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Final

import msgspec

from tollhouse.core.limits import Charge
from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import Exhausted

from .ask import Ask, Taking, involved_in
from .breaker import Breaker
from .holdings import Holding, Holdings
from .line import BankUnreachable, Line
from .messages import NEVER_US, UNKNOWN_US, Answer, Flag, Status, decode_answer, encode_message
from .purse import Purse
from .standing import Standing

MOST_CALLS: Final = 256
"""Decided by one message."""
MOST_REPORTS: Final = 500
"""Holdings told with one message, beside those that calls ask for."""
FROZEN_BEAT_S: Final = 0.25
BEATS_IN_A_LEASE: Final = 10
FAREWELL_S: Final = 1.0
MOST_REJOINS: Final = 5


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What all workers of a bank have to agree on, and how patient they are."""

    url: str
    bank: str
    """The key of the bank, which all others begin like."""
    owner: str
    lease_s: float
    window_s: float
    reply_s: float
    dial_s: float
    report_s: float


class Conversation:
    """Begins with `start`, ends with `close`; goes on for ever between, whatever becomes of the server."""

    def __init__(self, terms: Terms, holdings: Holdings, standing: Standing, clock: Clock) -> None:
        self._terms = terms
        self._holdings = holdings
        self._standing = standing
        self._clock = clock
        self._breaker = Breaker(clock.draw)
        self._asks: deque[Ask] = deque()
        self._under_way: Sequence[Ask] = ()
        """What the present message asks for."""
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._line: Line | None = None
        self._seq = 0
        self._sent_at = -inf
        self._must_report = False
        self._is_closing = False
        self._refreshing: list[asyncio.Future[None]] = []
        self.is_asking = False
        """Whether the bank is to be asked what cannot be decided here."""
        self.leased_until = -inf
        """Until when purses and slots that were handed out may be used, on this worker's clock."""
        self.young_until = -inf
        """Until when windows go by this worker's share, because the bank's do not hold all that was used."""

    async def start(self) -> None:
        """Returns when the bank has answered, or has been found not to; never raises for its sake."""
        if self._task is None:
            self._task = asyncio.create_task(self._go_on())
            self._tick()
        await self._tried.wait()

    async def close(self) -> None:
        """Give everything back, within a second."""
        self._is_closing = True
        self.is_asking = False
        if self._ticker is not None:
            self._ticker.cancel()
        task = self._task
        if task is None:
            return
        self._wake.set()
        await asyncio.wait({task}, timeout=FAREWELL_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def ask(self, charges: Sequence[Charge], holdings: Sequence[Holding]) -> list[Taking] | None:
        """Have the bank decide a call. None where it cannot say. Raises: Exhausted."""
        decision: asyncio.Future[list[Taking] | None] = asyncio.get_running_loop().create_future()
        self._asks.append(Ask(charges, holdings, decision))
        self._wake.set()
        if self._line is None:
            self._be_patient()
        try:
            return await decision
        except asyncio.CancelledError:
            if decision.done() and not decision.cancelled() and decision.exception() is None:
                self._undo(decision.result() or ())
            raise

    def tell_now(self) -> None:
        """Somebody may be waiting for what has changed."""
        self._must_report = True
        self._wake.set()

    async def refresh(self) -> None:
        """Tell all and hear all, as far as the bank answers."""
        if self._line is None:
            return
        self._holdings.tell_all()
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refreshing.append(told)
        self.tell_now()
        await told

    # -- the line

    async def _go_on(self) -> None:
        while not self._is_closing and not self._standing.is_barred:
            try:
                await self._dial()
                await self._talk()
            except BankUnreachable as error:
                self._went_down(str(error), is_cut=error.is_cut)
            except Exception as defect:  # noqa: BLE001 - of ours; nobody must wait for ever because of it
                self._went_down(f"a defect of the gateway ({type(defect).__name__}: {defect})", is_cut=False)
            finally:
                self._refreshed()
                line, self._line = self._line, None
                if line is not None:
                    await line.hang_up()
            if not self._is_closing:
                await asyncio.sleep(self._breaker.rest_s())
        self._standing.is_up = False
        self.is_asking = False
        self._tried.set()
        self._decide_nothing()

    async def _dial(self) -> None:
        line = Line(self._terms.url, script="bank.lua")
        await line.dial(self._terms.dial_s)
        self._line = line
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _talk(self) -> None:
        await self._message()  # to hear whether the bank is open, and be known there
        while not self._standing.is_barred:
            if self._is_closing:
                await self._farewell()
                return
            if self._asks or self._must_report:
                await self._message()
                if self._refreshing and not self._holdings.untold:
                    self._refreshed()
                continue
            self._wake.clear()
            await self._wake.wait()

    def _refreshed(self) -> None:
        while self._refreshing:
            told = self._refreshing.pop()
            if not told.done():
                told.set_result(None)

    def _went_down(self, why: str, *, is_cut: bool) -> None:
        self._breaker.bad()
        standing = self._standing
        standing.failures += 1
        standing.is_up = False
        standing.why = why
        if self._breaker.is_open:
            self.is_asking = False
        self._tried.set()
        if is_cut and self._breaker.failures == 1 and self.is_asking:
            # A line that was cut is dialled again at once, and to ask again is safe: messages say all there is.
            self._asks.extendleft(reversed(self._under_way))
            self._under_way = ()
            self._be_patient()
        else:
            self._decide_nothing()

    def _be_patient(self) -> None:
        """Those who ask while there is no line wait for it as long as for an answer."""
        if self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(self._terms.reply_s, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if self._line is None:
            self._decide_nothing()

    def _decide_nothing(self) -> None:
        """Those who wait go on without the bank."""
        for ask in self._under_way:
            ask.answer(None)
        self._under_way = ()
        while self._asks:
            self._asks.popleft().answer(None)

    # -- messages

    async def _message(self) -> None:
        """Raises: BankUnreachable."""
        for _ in range(MOST_REJOINS):
            asks = self._under_way = self._next_asks()
            status = await self._exchange(asks, self._untold(), Flag.NONE)
            self._under_way = ()
            if status is not Status.REJOIN:
                break
            self._asks.extendleft(reversed(asks))
            status = await self._join()
            if status is not Status.REJOIN:
                break
        else:
            raise BankUnreachable("it forgets this worker again and again")
        if status is Status.BARRED:
            self._be_barred()
            return
        if status is Status.STALE:
            raise BankUnreachable("another worker goes by the same name")
        self._came_up(status)

    async def _join(self) -> Status:
        telling = self._holdings.all_to_tell()
        flags = Flag.JOIN | Flag.JOIN_FIRST
        status = Status.OPEN
        while Flag.JOIN_LAST not in flags:
            part, telling = telling[:MOST_REPORTS], telling[MOST_REPORTS:]
            if not telling:
                flags |= Flag.JOIN_LAST
            status = await self._exchange((), part, flags)
            if status not in (Status.OPEN, Status.FROZEN):
                return status
            flags &= ~Flag.JOIN_FIRST
        return status

    async def _farewell(self) -> None:
        holdings = self._holdings
        holdings.give_everything_back()
        self.leased_until = -inf
        while True:
            telling = self._untold()
            is_last = not holdings.untold or len(telling) == len(holdings.untold)
            leave = Flag.LEAVE if is_last and holdings.is_at_rest else Flag.NONE
            status = await self._exchange((), telling, leave, renews=False)
            if is_last or status not in (Status.OPEN, Status.FROZEN):
                return

    def _next_asks(self) -> list[Ask]:
        asks: list[Ask] = []
        while self._asks and len(asks) < MOST_CALLS:
            ask = self._asks.popleft()
            if ask.decision.done():
                ask.end()
            else:
                asks.append(ask)
        return asks

    def _untold(self) -> list[Holding]:
        untold = self._holdings.untold
        telling = (
            list(untold.values())[:MOST_REPORTS] if len(untold) > MOST_REPORTS else list(untold.values())
        )
        self._must_report = len(untold) > len(telling)
        return telling

    async def _exchange(
        self, asks: Sequence[Ask], telling: Sequence[Holding], flags: Flag, *, renews: bool = True
    ) -> Status:
        """Say one thing, and take the answer in. Raises: BankUnreachable."""
        assert self._line is not None
        sent_at, wall = self._clock.monotonic(), self._clock.now()
        is_leased = sent_at < self.leased_until
        involved, calls = involved_in(asks)
        entries = [
            self._holdings.entry(holding, sent_at, wall, is_asked=True, is_leased=is_leased)
            for holding in involved.values()
        ]
        for holding in telling:
            if holding.id not in involved:
                involved[holding.id] = holding
                entries.append(
                    self._holdings.entry(holding, sent_at, wall, is_asked=False, is_leased=is_leased)
                )
        self._seq += 1
        terms = self._terms
        request = encode_message(
            self._line.run_id, int(terms.lease_s * 1e6), terms.owner, self._seq, flags,
            int(terms.window_s * 1e6 / 240), entries, calls,
        )  # fmt: skip
        self._sent_at = sent_at
        try:
            answer = decode_answer(await self._line.run(terms.bank, request, terms.reply_s))
        except msgspec.MsgspecError:
            self._holdings.lost(involved.values())
            raise BankUnreachable("it answers what cannot be read") from None
        except BaseException:
            self._holdings.lost(involved.values())
            raise
        self._standing.round_trips += 1
        if answer.status not in (Status.OPEN, Status.FROZEN):
            self._holdings.unread(involved.values())
            if answer.status is not Status.REJOIN:
                for ask in asks:
                    ask.answer(None)
            return answer.status
        self._standing.era = answer.era
        if renews:
            self._heard(answer, sent_at)
        for holding, of_it in zip(involved.values(), answer.entries, strict=True):
            self._holdings.answered(holding, of_it, sent_at)
        self._decide(asks, list(involved.values()), answer.calls)
        return answer.status

    def _heard(self, answer: Answer, sent_at: float) -> None:
        self.leased_until = sent_at + self._terms.lease_s
        self.young_until = self._clock.monotonic() + answer.young_us / 1e6
        self._standing.owners = answer.owners

    def _decide(self, asks: Sequence[Ask], involved: Sequence[Holding], outcomes: Sequence[int]) -> None:
        now = self._clock.monotonic()
        for number, ask in enumerate(asks):
            index, retry_us = outcomes[2 * number], outcomes[2 * number + 1]
            if index == 0:
                self._standing.decisions_asked += 1
                self._charge(ask, now)
            elif retry_us == UNKNOWN_US:
                ask.answer(None)
            else:
                self._standing.decisions_asked += 1
                self._refuse(ask, involved[index - 1], retry_us, now)

    def _charge(self, ask: Ask, now: float) -> None:
        takings: list[Taking] = []
        for charge, holding in zip(ask.charges, ask.holdings, strict=True):
            origin = holding.charged(charge.amount, charge.counter, now)
            takings.append((holding, charge.amount, origin))
            if isinstance(holding, Purse):
                self._holdings.note_active(holding)
        if ask.decision.done():  # the caller has gone
            self._undo(takings)
        ask.answer(takings)

    def _refuse(self, ask: Ask, holding: Holding, retry_us: int, now: float) -> None:
        charge = next(charge for charge in ask.charges if charge.counter.id == holding.id)
        retry_s = None if retry_us == NEVER_US else retry_us / 1e6
        ask.refuse(Exhausted(charge, holding.left(charge.counter, now), retry_s))

    def _undo(self, takings: Sequence[Taking]) -> None:
        now = self._clock.monotonic()
        for holding, amount, origin in takings:
            self._holdings.settle(holding, amount, 0, origin, now)

    # -- how it stands

    def _came_up(self, status: Status) -> None:
        self._breaker.good()
        standing = self._standing
        standing.is_up = True
        standing.is_frozen = status is Status.FROZEN
        standing.why = "a keeper has to rebuild it from the ledger" if standing.is_frozen else ""
        self.is_asking = not standing.is_frozen and not self._is_closing
        self._tried.set()
        if standing.is_frozen:
            self._decide_nothing()

    def _be_barred(self) -> None:
        self._standing.is_barred = True
        self._standing.why = "a keeper has taken this worker for dead"
        self.is_asking = False
        self.leased_until = -inf
        self._holdings.drop_all_free()
        self._decide_nothing()

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(self._terms.report_s, self._tick)
        now = self._clock.monotonic()
        holdings = self._holdings
        holdings.tidy(self._terms.report_s)
        holdings.forget(now, self._clock.now())
        beat_s = self._terms.lease_s / BEATS_IN_A_LEASE
        if self._standing.is_frozen:
            beat_s = min(beat_s, FROZEN_BEAT_S)
        if self._line is not None and (holdings.untold or now - self._sent_at >= beat_s):
            self.tell_now()
