"""How a command finds the house that is running: a socket in the journal's folder, readable by its owner only.

One question a connection: a word, answered by `done`, perhaps with a JSON document on the lines after it, or by
`failed`. The words are `refresh` (take over the store's keys), `fold` (bring the journal into the store), `reload`
(read the configuration again), `secrets` (look at what references lead to) and `deployments` (how they are).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

_NAME: Final = "control.sock"
_LONGEST_WORD: Final = 64
_LONGEST_ANSWER_BYTES: Final = 16 * 1024 * 1024
_DONE: Final = b"done"
_FAILED: Final = b"failed"
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group."""

Deed = Callable[[], Awaitable[bytes | None]]
"""What a word has done: gives the document that is told besides. Raises: OSError when it cannot be done now."""
DeedFor = Callable[[int], Awaitable[bytes | None]]
"""The same, told the number of the system's user who asks."""


class NotDone(OSError):
    """The house is running, and has not done what it was asked."""


class ControlSocket:
    """The keeper's end."""

    def __init__(
        self, folder: Path, deeds: Mapping[str, Deed], deeds_for: Mapping[str, DeedFor] | None = None
    ) -> None:
        self._folder = folder
        self._deeds = deeds
        self._deeds_for = deeds_for or {}
        self._server: asyncio.Server | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; the keeper's lock guarantees that a socket found here is a dead one's."""
        (self._folder / _NAME).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self._folder) as path:
            listener.bind(path)
        (self._folder / _NAME).chmod(0o600)
        self._server = await asyncio.start_unix_server(self._answer, sock=listener)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        try:
            word = (
                (await asyncio.wait_for(reader.read(_LONGEST_WORD), 2.0)).decode("ascii", "replace").strip()
            )
            deed_for = self._deeds_for.get(word)
            document = await (deed_for(_asker(writer)) if deed_for is not None else self._deeds[word]())
            writer.write(_DONE if document is None else _DONE + b"\n" + _bounded(document))
        except (KeyError, OSError, asyncio.CancelledError):
            # Cancelled only by `stop`: whoever asked is told, and the loop has nothing to report.
            writer.write(_FAILED)
        finally:
            self._asking.discard(task)
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._asking:
                task.cancel()
            if self._asking:
                await asyncio.wait(set(self._asking))
            await self._server.wait_closed()
        (self._folder / _NAME).unlink(missing_ok=True)


def _asker(writer: asyncio.StreamWriter) -> int:
    """By the kernel's word."""
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)


def _bounded(document: bytes) -> bytes:
    if len(document) > _LONGEST_ANSWER_BYTES:
        raise OSError("the answer is longer than an answer may be")
    return document


def ask(folder: Path, word: str, patience_s: float = 5.0) -> bool | None:
    """Ask the house that keeps this journal: True when it is done, False when it failed, None when none is running."""
    try:
        return None if inquire(folder, word, patience_s) is None else True
    except NotDone:
        return False


def inquire(folder: Path, word: str, patience_s: float = 5.0) -> bytes | None:
    """The document that the house which keeps this journal answers with, empty where it has only done what it was
    asked; None when none is running. Raises: NotDone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(patience_s)
        try:
            with _short(folder) as path:
                end.connect(path)
        except (FileNotFoundError, ConnectionError, NotADirectoryError):
            return None
        try:
            end.sendall(word.encode())
            answer = _read_all(end)
        except OSError as error:
            raise NotDone(f"The house did not answer: {error}.") from error
    verdict, _, document = answer.partition(b"\n")
    if verdict != _DONE:
        raise NotDone("The house could not do what it was asked.")
    return document


def _read_all(end: socket.socket) -> bytes:
    """Everything until the house has ended its answer, or has said more than it may."""
    pieces = []
    left = _LONGEST_ANSWER_BYTES + len(_DONE) + 1
    while left > 0 and (piece := end.recv(min(left, 65_536))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path to the socket that fits into the 108 bytes the kernel has for one, wherever the folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{_NAME}"
    finally:
        os.close(handle)
