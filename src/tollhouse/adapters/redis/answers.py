"""Recorded answers in Redis, for houses of several workers and replicas. Implements ports.shared_answers.SharedAnswers.

Redis sees no tenant, no key, no request and no answer: names and marks are HMACs, answers are sealed. Claims and small
answers go over one connection, many at once; large answers in pieces over another, so that no claim waits for them.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

import msgspec

from tollhouse.core.master_key import derive
from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.shared_answers import Answer, AnswerSealer, Entry, Found, Head, Ticket

from .counters import DIAL_S, NAMESPACE, REPLY_S
from .desk import Desk
from .line import check_url

PREFIX: Final = "{{{namespace}}}:answers:"
LEASE_S: Final = 15.0
"""A claim is its owner's for so long without a word. Most calls end before the first is due."""
BEATS_IN_A_LEASE: Final = 3
MOST_BYTES: Final = 128 * 1024 * 1024
"""Beside the counters, which must never lack room."""
MOST_GONE: Final = 20_000
PIECE_BYTES: Final = 128 * 1024
MOST_SMALL_BYTES: Final = 32 * 1024
"""A larger answer does not go with the claims."""
FREIGHT_S: Final = 1.0
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024

_OPENED_IN_A_ROW: Final = 8
"""Pieces, before others have their turn."""
_UNKNOWN: Final = Entry(found=Found.UNKNOWN)
_FIRST: Final = Entry(found=Found.FIRST)
"""What is said nearly always, and so in the fewest words."""
_PURPOSE: Final = "recorded answers"


class AnswersStanding:
    """Numbers for the metrics; all of them only grow."""

    __slots__ = ("asked", "lost", "put", "taken", "unknown")

    def __init__(self) -> None:
        self.asked = 0
        """Claims that were answered."""
        self.unknown = 0
        """Claims that were not: those calls went by the worker's own book."""
        self.put = 0
        self.lost = 0
        """Answers that the shelf did not take."""
        self.taken = 0


class RedisAnswers:
    """One worker's."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        pepper: Secret,
        sealer: AnswerSealer,
        *,
        namespace: str = NAMESPACE,
        lease_s: float = LEASE_S,
        most_bytes: int = MOST_BYTES,
        most_gone: int = MOST_GONE,
        reply_s: float = REPLY_S,
        dial_s: float = DIAL_S,
    ) -> None:
        """`pepper` must be the same for all workers. Raises: ValueError for a wrong address."""
        check_url(url)
        self._clock = clock
        self._secret = derive(pepper, _PURPOSE).reveal().encode()
        self._sealer = sealer
        self._prefix = PREFIX.format(namespace=namespace)
        self._beat_s = lease_s / BEATS_IN_A_LEASE
        terms = (int(lease_s * 1000), most_bytes, most_gone)

        def desk(patience_s: float) -> Desk:
            return Desk(
                url, "answers.lua", self._prefix, terms, draw=clock.draw, reply_s=patience_s, dial_s=dial_s,
                most_waiting_bytes=MOST_WAITING_BYTES,
            )  # fmt: skip

        self._desk = desk(reply_s)
        self._freight = desk(max(FREIGHT_S, reply_s))
        self._going: dict[Ticket, float] = {}
        """Calls that are made here, since when."""
        self._errands: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self.standing = AnswersStanding()

    @property
    def is_up(self) -> bool:
        """Whether the server answers."""
        return self._desk.is_up

    @property
    def round_trips(self) -> int:
        """Messages that were answered."""
        return self._desk.round_trips + self._freight.round_trips

    @property
    def failures(self) -> int:
        """Dials and messages that came to nothing."""
        return self._desk.failures + self._freight.failures

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way to the server."""
        return bool(self._errands) or self._desk.is_busy or self._freight.is_busy

    async def start(self) -> None:
        """Returns when the server has answered, or has been found not to; never raises for its sake."""
        if self._ticker is None:
            self._tick()
        await asyncio.gather(self._desk.start(), self._freight.start())

    async def close(self) -> None:
        """Put away what has ended, within a second or two. Again does nothing."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._errands:
            await asyncio.wait([*self._errands], timeout=FREIGHT_S)
        for errand in [*self._errands]:
            errand.cancel()
        await asyncio.gather(self._desk.close(), self._freight.close())

    # -- whose call it is

    def ticket(
        self, tenant: str, key: str, fingerprint: bytes, exchange_id: str, life_s: float, most_bytes: int
    ) -> Ticket:
        """See ports.shared_answers."""
        whose = tenant.encode("utf-8", "surrogatepass")
        name = hmac.digest(self._secret, b"%d:%b%b" % (len(whose), whose, key.encode("latin-1")), "sha256")
        return Ticket(
            name=name.hex(),
            mark=hmac.digest(self._secret, name + fingerprint, "sha256"),
            exchange_id=exchange_id,
            life_s=life_s,
            most_bytes=most_bytes,
        )

    async def claim(self, ticket: Ticket) -> Entry:
        """See ports.shared_answers."""
        self._going[ticket] = self._clock.monotonic()  # who is cancelled here may be first all the same
        said = await self._desk.do(("claim", ticket.name, ticket.mark, ticket.exchange_id))
        if said is None:
            self.standing.unknown += 1
            entry = _UNKNOWN
        else:
            self.standing.asked += 1
            entry = self._entry(ticket, said)
        if entry.found not in (Found.FIRST, Found.UNKNOWN):
            del self._going[ticket]
        return entry

    async def look(self, ticket: Ticket, *, with_head: bool) -> Entry:
        """See ports.shared_answers."""
        said = await self._desk.do(("look", ticket.name, ticket.mark, "1" if with_head else "0"))
        return _UNKNOWN if said is None else self._entry(ticket, said)

    def _entry(self, ticket: Ticket, said: int | list[Any]) -> Entry:
        if isinstance(said, int):
            return _FIRST
        found, exchange_id, left_ms, pieces, sealed = said
        entry = Entry(
            found=Found(found), exchange_id=exchange_id.decode(), left_s=left_ms / 1000, pieces=pieces
        )
        if not sealed:
            return entry
        opened = self._sealer.open(sealed, _place(ticket.name, entry.exchange_id, "head"))
        if opened is None:
            return entry
        return msgspec.structs.replace(entry, head=msgspec.msgpack.decode(opened, type=Head))

    # -- answers

    async def take(self, ticket: Ticket, entry: Entry) -> Answer | None:
        """See ports.shared_answers."""
        numbers = range(1, entry.pieces + 1)
        asked = [self._freight.do(("take", ticket.name, number), PIECE_BYTES) for number in numbers]
        opened: list[bytes] = []
        for number, said in zip(numbers, await asyncio.gather(*asked), strict=True):
            if said is None or said[0] != entry.exchange_id.encode():
                return None
            text = self._sealer.open(
                said[1], _place(ticket.name, entry.exchange_id, f"{number}/{entry.pieces}")
            )
            if text is None:
                return None
            opened.append(text)
            if number % _OPENED_IN_A_ROW == 0:
                await asyncio.sleep(0)
        self.standing.taken += 1
        return msgspec.msgpack.decode(b"".join(opened), type=Answer)

    def put(self, ticket: Ticket, answer: Answer) -> None:
        """See ports.shared_answers."""
        if not self._has_ended(ticket):
            return
        text = msgspec.msgpack.encode(answer)
        if len(text) > ticket.most_bytes:
            self.standing.lost += 1
            self._lost(ticket)
        elif len(text) <= MOST_SMALL_BYTES:
            self._piece(self._desk, ticket, text, len(text), 1, 1).add_done_callback(self._count_put)
        else:
            self._in_background(self._put_in_pieces(ticket, text))

    async def _put_in_pieces(self, ticket: Ticket, text: bytes) -> None:
        count = -(-len(text) // PIECE_BYTES)
        said = None
        for number in range(1, count + 1):
            piece = text[(number - 1) * PIECE_BYTES : number * PIECE_BYTES]
            said = await self._piece(self._freight, ticket, piece, len(text), number, count)
            if said != 1:
                break
        self._note_put(said)
        if said is None:
            self._lost(ticket)

    def _piece(
        self, desk: Desk, ticket: Ticket, piece: bytes, all_bytes: int, number: int, count: int
    ) -> asyncio.Future[Any]:
        sealed = self._sealer.seal(piece, _place(ticket.name, ticket.exchange_id, f"{number}/{count}"))
        words = (
            "put", ticket.name, ticket.mark, ticket.exchange_id, _ms(ticket), all_bytes, number, count, sealed,
        )  # fmt: skip
        return desk.do(words, len(sealed))

    def lose(self, ticket: Ticket) -> None:
        """See ports.shared_answers."""
        if self._has_ended(ticket):
            self._lost(ticket)

    def _lost(self, ticket: Ticket) -> None:
        self._desk.do(("lose", ticket.name, ticket.mark, ticket.exchange_id, _ms(ticket)))

    def free(self, ticket: Ticket) -> None:
        """See ports.shared_answers."""
        if self._has_ended(ticket):
            self._desk.do(("free", ticket.name, ticket.exchange_id))

    def _has_ended(self, ticket: Ticket) -> bool:
        """Whether it went on until now."""
        ticket.head = None
        return self._going.pop(ticket, None) is not None

    def _count_put(self, done: asyncio.Future[Any]) -> None:
        self._note_put(None if done.cancelled() else done.result())

    def _note_put(self, said: int | None) -> None:
        if said == 1:
            self.standing.put += 1
        else:
            self.standing.lost += 1

    # -- while a call goes on

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(self._beat_s, self._tick)
        for desk in (self._desk, self._freight):
            desk.do(("ping",))  # a server that has gone is missed before a call needs it
        if not self._desk.is_up:
            return
        before = self._clock.monotonic() - self._beat_s
        for ticket, since in self._going.items():
            if since <= before:
                renewed = self._desk.do(("renew", ticket.name, ticket.mark, ticket.exchange_id))
                renewed.add_done_callback(partial(self._renewed, ticket))

    def _renewed(self, ticket: Ticket, done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.result() != 1 or ticket.head is None:
            return
        head = ticket.head()
        if head is not None:
            place = _place(ticket.name, ticket.exchange_id, "head")
            sealed = self._sealer.seal(msgspec.msgpack.encode(head), place)
            self._desk.do(("head", ticket.name, ticket.mark, ticket.exchange_id, sealed), len(sealed))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _place(name: str, exchange_id: str, part: str) -> bytes:
    return f"{name} {exchange_id} {part}".encode()


def _ms(ticket: Ticket) -> int:
    return int(ticket.life_s * 1000)
