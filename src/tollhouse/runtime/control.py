"""How a command finds the house that is running: a socket in the journal's folder, readable by its owner only.

One question a connection: a word, answered by `done` or `failed`. The words are `refresh` (take over the store's keys)
and `fold` (bring the journal into the store).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

_NAME: Final = "control.sock"
_LONGEST_WORD: Final = 64

Deed = Callable[[], Awaitable[None]]


class ControlSocket:
    """The keeper's end."""

    def __init__(self, folder: Path, deeds: Mapping[str, Deed]) -> None:
        self._folder = folder
        self._deeds = deeds
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
            await self._deeds[word]()
            writer.write(b"done")
        except (KeyError, OSError, asyncio.CancelledError):
            # Cancelled only by `stop`: whoever asked is told, and the loop has nothing to report.
            writer.write(b"failed")
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


def ask(folder: Path, word: str, patience_s: float = 5.0) -> bool | None:
    """Ask the house that keeps this journal: True when it is done, False when it failed, None when none is running."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(patience_s)
        try:
            with _short(folder) as path:
                end.connect(path)
        except (FileNotFoundError, ConnectionError, NotADirectoryError):
            return None
        try:
            end.sendall(word.encode())
            return end.recv(16) == b"done"
        except OSError:
            return False


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path to the socket that fits into the 108 bytes the kernel has for one, wherever the folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{_NAME}"
    finally:
        os.close(handle)
