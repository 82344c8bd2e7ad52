"""The recording of one answer, and its playing to any number of callers, also while it is being made.

Players are woken when there is something new and read it off the tape themselves, each at its own pace: the recording
waits for none of them, and none of them for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from enum import Enum
from math import inf
from typing import Final, Protocol

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.ports.reply import HeaderList, Reply
from tollhouse.ports.shared_answers import Answer, Head

_REPLAYED: Final = (b"idempotent-replayed", b"true")
_CHUNK_BYTES: Final = 40
"""What a chunk takes beside its bytes, so that an answer in tiny pieces is not taken for a small one."""
_CHUNKS_IN_A_ROW: Final = 256
"""Given to a caller who takes them at once, before others have their turn."""


class Shelf(Protocol):
    """Where a tape stands while it may be asked for again."""

    def grew(self, more_bytes: int) -> None:
        """The tape holds so many bytes more, or fewer."""

    def ended(self) -> None:
        """Nothing more will be recorded."""


class _End(Enum):
    OPEN = 0
    """The recording goes on."""
    WHOLE = 1
    ABORTED = 2


class _Player:
    """Somebody who is being given the answer."""

    __slots__ = ("at", "is_held_up", "reply", "wake")

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.at = 0
        """The number of the next chunk to be given."""
        self.is_held_up = False
        """Whether it waits for its caller to take one."""
        self.wake: asyncio.Future[None] | None = None
        """What the player waits for, where it has given all there is."""


class Tape:
    """Records an answer as a ports.reply.Reply and plays it to others.

    It holds the answer from the beginning until it is larger than `most_bytes` or it is told to `pass_on`. From then
    on it cannot be given again; those who are being played it get the rest, and it holds only what one of them has yet
    to take. Callers who do not take what comes, and for whom more than `most_bytes` would have to be held, are cut.
    """

    __slots__ = (
        "_bytes",
        "_chunks",
        "_end",
        "_first",
        "_headers",
        "_is_given_up",
        "_is_unary",
        "_most_bytes",
        "_opening",
        "_players",
        "_status",
        "_tail",
        "exchange_id",
        "is_copy",
        "is_whole_held",
        "life_s",
        "outcome",
        "shelf",
    )

    def __init__(self, *, most_bytes: float = inf) -> None:
        self._most_bytes = most_bytes
        self._status: int | None = None
        self._headers: HeaderList = []
        self._opening = b""
        """What it was started with."""
        self._chunks: list[bytes] = []
        """What was written, from chunk number `_first` on."""
        self._first = 0
        self._tail = b""
        """What the answer was ended with."""
        self._bytes = 0
        self._end = _End.OPEN
        self._is_unary = False
        self._is_given_up = False
        self._players: set[_Player] = set()
        self.is_whole_held = True
        """Whether the answer can still be played from its beginning."""
        self.shelf: Shelf | None = None
        """Told of changes until it is taken away."""
        self.exchange_id: str | None = None
        """The exchange whose answer it is; told by whoever has it recorded."""
        self.outcome = Outcome.OPEN
        """How that exchange ended; told by the same."""
        self.is_copy = False
        """Whether the answer was recorded elsewhere: whoever is played it came with a repeat."""
        self.life_s = inf
        """For how long it is kept at most, from its end."""

    # -- what is known of it

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be recorded."""
        return self._end is not _End.OPEN

    @property
    def held_bytes(self) -> int:
        """Of the answer: its headers and all its bytes, with what it costs to hold them in pieces."""
        return self._bytes

    @property
    def status(self) -> int | None:
        """Of the answer, once it has begun."""
        return self._status

    @property
    def is_wanted(self) -> bool:
        """Whether somebody is being given the answer now."""
        return bool(self._players)

    @property
    def is_started(self) -> bool:
        """See ports.reply."""
        return self._status is not None

    @property
    def is_gone(self) -> bool:
        """See ports.reply: a tape stays, whoever leaves, until it is given up."""
        return self._is_given_up

    @property
    def is_let_go(self) -> bool:
        """Never: the answer is also for those who will ask for it."""
        return False

    # -- recording

    async def record(self, work: Awaitable[None]) -> None:
        """Do the work that records here. Whatever ends it ends the tape, so that nobody waits for ever."""
        try:
            await work
        finally:
            self.abort()

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        """See ports.reply."""
        if self._begin(status, headers):
            self._is_unary = True
            self._chunks = [body]
            self._finish(_End.WHOLE, len(body) + _CHUNK_BYTES)

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        """See ports.reply."""
        if self._begin(status, headers):
            self._opening = first
            self._grow(len(first))
            self._wake()

    async def write(self, data: bytes) -> None:
        """See ports.reply. Never waits for those who are played the answer."""
        if not data or self.is_over:
            return
        self._chunks.append(data)
        self._grow(len(data) + _CHUNK_BYTES)
        self._wake()
        if not self.is_whole_held:
            await asyncio.sleep(0)  # what nobody takes now may be gone with the next chunk

    def beat(self, data: bytes) -> None:
        """See ports.reply. Signs of life are for those who wait; they are no part of the answer."""
        end = self._first + len(self._chunks)
        for player in self._players:
            if player.wake is not None and player.at == end and not self.is_over:
                player.reply.beat(data)

    def end(self, data: bytes = b"") -> None:
        """See ports.reply. An answer that has ended stays as it is."""
        if not self.is_over:
            self._tail = data
            self._finish(_End.WHOLE, len(data))

    def abort(self, last: bytes = b"") -> None:
        """See ports.reply. An answer that has ended stays as it is."""
        if not self.is_over:
            self._tail = last
            self._finish(_End.ABORTED, len(last))

    def let_go(self) -> None:
        """The caller who had the work done has left: nothing changes for the others, and for who comes again."""

    def give_up(self) -> None:
        """The work is being stopped: nobody will get the rest."""
        self._is_given_up = True
        self.abort()

    def _begin(self, status: int, headers: HeaderList) -> bool:
        """Whether there is still an answer to begin."""
        assert self._status is None, "an answer has one status"
        if self.is_over:
            return False
        self._status = status
        self._headers = list(headers)
        self._grow(sum([len(name) + len(value) for name, value in headers]))
        return True

    def _finish(self, end: _End, more_bytes: int) -> None:
        self._end = end
        self._grow(more_bytes)
        self._wake()
        if self.shelf is not None:
            self.shelf.ended()

    def _grow(self, more_bytes: int) -> None:
        self._bytes += more_bytes
        if self.shelf is not None:
            self.shelf.grew(more_bytes)
        if not self.is_whole_held or self._bytes > self._most_bytes:
            self.is_whole_held = False
            self._trim()
            self._cut_back()

    # -- for other workers, and from them

    def head(self) -> Head | None:
        """How a stream begins, once it has."""
        if self._status is None or self._is_unary:
            return None
        return Head(status=self._status, headers=self._headers, opening=self._opening)

    def answer(self) -> Answer | None:
        """The whole, where it is over and can be given again."""
        if not self.is_over or self._status is None or not self.is_whole_held:
            return None
        return Answer(
            head=Head(status=self._status, headers=self._headers, opening=self._opening),
            body=b"".join(self._chunks) + self._tail,
            is_unary=self._is_unary,
            is_aborted=self._end is _End.ABORTED,
            outcome=self.outcome,
        )

    def begin_copy(self, head: Head) -> None:
        """Let those who wait have the beginning of an answer that is made elsewhere."""
        self.is_copy = True
        if self._status is None:
            self.start(head.status, head.headers, head.opening)

    async def copy(self, answer: Answer) -> None:
        """Record what was recorded elsewhere, whether or not it was begun."""
        self.is_copy = True
        self.outcome = answer.outcome
        if answer.is_unary:
            self.send(answer.head.status, answer.head.headers, answer.body)
            return
        self.begin_copy(answer.head)
        await self.write(answer.body)
        if answer.is_aborted:
            self.abort()
        else:
            self.end()

    # -- what cannot be given again

    def pass_on(self, most_bytes: float | None = None) -> None:
        """From now on the answer is only for those who are being given it, none of whom may be further behind than
        `most_bytes`; None changes nothing in that."""
        if most_bytes is not None:
            self._most_bytes = min(self._most_bytes, most_bytes)
        self.is_whole_held = False
        self._trim()

    def _trim(self) -> None:
        """Let go of what everybody has, where it cannot be given again."""
        if self.is_whole_held:
            return
        if self.is_over and not self._players:
            self._erase()
            return
        end = self._first + len(self._chunks)
        self._drop(min([player.at for player in self._players], default=end) - self._first)

    def _erase(self) -> None:
        less_bytes, self._bytes = self._bytes, 0
        self._headers, self._opening, self._chunks, self._tail = [], b"", [], b""
        if self.shelf is not None:
            self.shelf.grew(-less_bytes)

    def _cut_back(self) -> None:
        """Let go of the oldest chunks that are too many, where those who lack them are held up by their callers. The
        last chunk has only just come."""
        last = self._first + len(self._chunks) - 1
        most = min([player.at for player in self._players if not player.is_held_up], default=last)
        count, excess = 0, self._bytes - self._most_bytes
        while excess > 0 and count < min(most, last) - self._first:
            excess -= len(self._chunks[count]) + _CHUNK_BYTES
            count += 1
        self._drop(count)

    def _drop(self, count: int) -> None:
        if count <= 0:
            return
        less_bytes = sum(map(len, self._chunks[:count])) + count * _CHUNK_BYTES
        del self._chunks[:count]
        self._first += count
        self._bytes -= less_bytes
        if self.shelf is not None:
            self.shelf.grew(-less_bytes)

    # -- playing

    async def play(self, reply: Reply, *, is_repeat: bool = False) -> None:
        """Give the answer to a caller: at once what is there, then what comes, to its end. Where the answer is cut or
        this caller has fallen too far behind, so is the reply.

        `is_repeat` adds `idempotent-replayed: true`, as a copy does by itself. Raises: CallerTooSlow of the reply;
        GatewayError `idempotency_answer_gone` where the answer is not held from its beginning.
        """
        if not self.is_whole_held:
            raise answer_gone()
        player = _Player(reply)
        self._players.add(player)
        try:
            await self._give(player, is_repeat=is_repeat)
        finally:
            self._players.discard(player)
            self._trim()

    async def _give(self, player: _Player, *, is_repeat: bool) -> None:
        reply = player.reply
        status = await self._begun(player)
        if status is None:
            reply.abort()
            return
        headers = [*self._headers, _REPLAYED] if is_repeat or self.is_copy else list(self._headers)
        if self._is_unary:
            reply.send(status, headers, self._chunks[0])
            return
        reply.start(status, headers, self._opening)
        if not await self._follow(player):
            reply.abort()
        elif self._end is _End.ABORTED:
            reply.abort(self._tail)
        else:
            reply.end(self._tail)

    async def _begun(self, player: _Player) -> int | None:
        """The status, once there is one; None if there will be none."""
        while self._status is None and self._end is _End.OPEN:
            await self._news(player)
        return self._status

    async def _follow(self, player: _Player) -> bool:
        """Chunk by chunk until the recording is over. False if the next one is no longer held."""
        while True:
            while player.at - self._first < len(self._chunks):
                if player.at < self._first:
                    return False
                data = self._chunks[player.at - self._first]
                player.at += 1
                player.is_held_up = True
                await player.reply.write(data)
                player.is_held_up = False
                if player.at % _CHUNKS_IN_A_ROW == 0:
                    await asyncio.sleep(0)
            if self._end is not _End.OPEN:
                return True
            await self._news(player)

    async def _news(self, player: _Player) -> None:
        """Wait for more."""
        player.wake = asyncio.get_running_loop().create_future()
        try:
            await player.wake
        finally:
            player.wake = None

    def _wake(self) -> None:
        for player in self._players:
            if player.wake is not None and not player.wake.done():
                player.wake.set_result(None)


def answer_gone() -> GatewayError:
    """The call was made, but its answer cannot be given again, and making it again is not ours to decide."""
    return GatewayError(
        ErrorKind.IDEMPOTENCY_ANSWER_GONE,
        "The request with this idempotency key was carried out, but its answer is not kept any more, "
        "or was too large to be kept. It was not carried out again.",
        blame=Blame.CLIENT,
        param="idempotency-key",
        hint="Use another key if the call is to be made once more. It may be charged once more.",
    )
