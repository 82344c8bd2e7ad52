"""What keeper and worker tell each other over a socket pair: length-prefixed msgpack, secrets included.

Nothing of this ever touches a file, an argument list or an environment.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from tollhouse.core.identity import Upgrade, VirtualKey
from tollhouse.core.secret import Secret
from tollhouse.ports.administration import HouseRules

_LENGTH: Final = struct.Struct("!I")
_PORTION: Final = 1_000
"""Keys in one word: some milliseconds of a worker's loop."""
_LONGEST_BYTES: Final = 512 * 1024 * 1024


class Boot(msgspec.Struct, frozen=True, kw_only=True, tag="boot"):
    """Everything a worker starts from."""

    config: bytes
    """The configuration tree, see config.snapshot.to_wire."""
    secrets: dict[str, Secret]
    """By reference."""
    pepper: Secret
    client_token_keys: tuple[Secret, ...] = ()
    """What browser tokens are signed with (the first) and verified with (any)."""
    base_urls: dict[str, str]
    """Of providers whose address is only known at run time."""
    folder: str
    """Against which relative paths are resolved."""
    writer: str
    """The name this worker writes its journal under."""
    listener_fd: int
    seat: int = 0
    """Which of the house's workers this is, from 0 on; whoever follows it has the same number."""
    seats: int = 1
    """How many workers the house has."""
    answer_keys: tuple[Secret, ...] = ()
    """What shared answers are sealed with (the first) and opened with (any)."""
    shared: Secret = Secret("memory")
    """Where limits are counted, a password in it included."""
    admin_key: Secret | None = None
    """What opens the admin door; None keeps it closed."""
    waits_for_restart: tuple[str, ...] = ()
    """Settings of the file that this house does not go by until it is started anew."""


class Keys(msgspec.Struct, frozen=True, kw_only=True, tag="keys"):
    """Keys that are new or have changed; the last portion of them is answered by `Applied` with the same version."""

    version: int
    keys: tuple[VirtualKey, ...]
    is_last: bool = True
    is_fresh: bool = True
    """Whether they are from the store itself: otherwise there may be others."""

    def portions(self) -> Iterator[Keys]:
        """The same in several words: a worker that learns very many keys serves its callers in between."""
        for begin in range(0, max(len(self.keys), 1), _PORTION):
            keys = self.keys[begin : begin + _PORTION]
            is_last = begin + _PORTION >= len(self.keys)
            yield Keys(version=self.version, keys=keys, is_last=is_last, is_fresh=self.is_fresh)


class Freshness(msgspec.Struct, frozen=True, tag="freshness"):
    """Whether the store can be reached."""

    is_fresh: bool


class Spending(msgspec.Struct, frozen=True, tag="spending"):
    """What all others have been charged: everybody who writes or wrote a journal for this store, but this worker.

    Told as soon as everything that dead ones have written is in the books, and again when more of others has come to
    light; it replaces what was told before.
    """

    purses: dict[str, int]
    """Nano-USD by budget counter."""


class Rules(msgspec.Struct, frozen=True, tag="rules"):
    """What has been paused, and who has limits besides keys; in place of what was told before."""

    rules: HouseRules


class KeySet(msgspec.Struct, frozen=True, kw_only=True, tag="key_set"):
    """What an issuer of tokens signs with, as it has published it; in place of what was told of it before."""

    name: str
    document: bytes
    """A JWK Set."""
    fetched_at: float
    usable_until: float
    """Seconds since the epoch: afterwards it is not gone by any more."""


class Reload(msgspec.Struct, frozen=True, kw_only=True, tag="reload"):
    """Another configuration; answered by `Reloaded` or `ReloadFailed` with the same serial number."""

    serial: int
    config: bytes
    secrets: dict[str, Secret]
    base_urls: dict[str, str]
    waits_for_restart: tuple[str, ...]
    client_token_keys: tuple[Secret, ...] = ()


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Finish what is inside, for at most so many seconds."""

    drain_s: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker listens."""


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """The worker's loop turns."""


class Applied(msgspec.Struct, frozen=True, tag="applied"):
    """The keys of this version decide from now on."""

    version: int


class KeyWanted(msgspec.Struct, frozen=True, tag="key_wanted"):
    """A token has come that was signed by a key of this issuer which is not known here."""

    name: str


class Reloaded(msgspec.Struct, frozen=True, tag="reloaded"):
    """Every exchange that begins from now on meets this configuration."""

    serial: int
    hash: str


class ReloadFailed(msgspec.Struct, frozen=True, tag="reload_failed"):
    """The configuration cannot be served by; the one before it still is."""

    serial: int
    why: str


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """A question of either end, answered by `Told` with the same serial number."""

    serial: int
    about: str
    document: bytes | None = None
    """What is to be done, where more than a word is needed to say it; may carry a credential."""


class Told(msgspec.Struct, frozen=True, tag="told"):
    """The answer to a `Tell`: a document, in JSON unless it is about metrics, or None where there is none to give."""

    serial: int
    document: bytes | None


ToWorker = Boot | Keys | Freshness | Spending | Rules | KeySet | Reload | Stop | Tell | Told
ToKeeper = Ready | Alive | Applied | KeyWanted | Reloaded | ReloadFailed | Tell | Told | Upgrade


def _revealed(value: object) -> str:
    """The one place where words with secrets in them become bytes."""
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def _hidden(kind: type, value: object) -> Secret:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_revealed)
_TO_WORKER: Final = msgspec.msgpack.Decoder(ToWorker, dec_hook=_hidden)
_TO_KEEPER: Final = msgspec.msgpack.Decoder(ToKeeper)


class Link:
    """One end. The other end's death reads as None."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._serial = 0
        self._asked: dict[int, asyncio.Future[bytes | None]] = {}
        """Questions of this end that are not answered yet."""

    @classmethod
    async def over(cls, end: socket.socket) -> Link:
        """Take over one end of a socket pair."""
        reader, writer = await asyncio.open_unix_connection(sock=end)
        return cls(reader, writer)

    async def send(self, message: ToWorker | ToKeeper) -> None:
        """Raises: ConnectionError when the other end is gone."""
        payload = _ENCODER.encode(message)
        self._writer.write(_LENGTH.pack(len(payload)) + payload)
        await self._writer.drain()

    def post(self, message: ToWorker | ToKeeper) -> None:
        """Send without waiting for the other end to take it; to one that is gone, nothing. What waits is bounded by
        the keeper's patience: a worker that takes no words is replaced."""
        if not self._writer.is_closing():
            payload = _ENCODER.encode(message)
            self._writer.write(_LENGTH.pack(len(payload)) + payload)

    def mention(self, message: ToWorker | ToKeeper) -> None:
        """Send what may as well be lost: not to an end that is gone, nor to one that has yet to take the last word."""
        if not self._writer.transport.get_write_buffer_size():
            self.post(message)

    async def ask(self, about: str, patience_s: float, document: bytes | None = None) -> bytes | None:
        """The other end's answer to a question. Whoever reads this end's words hands each `Told` to `answered`.

        Raises: ConnectionError when the other end is gone, TimeoutError when it does not answer in time.
        """
        self._serial += 1
        serial = self._serial
        future = self._asked[serial] = asyncio.get_running_loop().create_future()
        try:
            await self.send(Tell(serial, about, document))
            return await asyncio.wait_for(future, patience_s)
        finally:
            del self._asked[serial]

    def answered(self, told: Told) -> None:
        """An answer has come; one that nobody waits for any more is dropped."""
        future = self._asked.get(told.serial)
        if future is not None and not future.done():
            future.set_result(told.document)

    async def from_keeper(self) -> ToWorker | None:
        """The keeper's next word; None when it is gone."""
        payload = await self._receive()
        return _TO_WORKER.decode(payload) if payload is not None else None

    async def from_worker(self) -> ToKeeper | None:
        """The worker's next word; None when it is gone."""
        payload = await self._receive()
        return _TO_KEEPER.decode(payload) if payload is not None else None

    async def _receive(self) -> bytes | None:
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > _LONGEST_BYTES:
                return None
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        """Those who still wait for an answer are told that none will come."""
        self._writer.close()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(ConnectionError("the other end of the link is gone"))
