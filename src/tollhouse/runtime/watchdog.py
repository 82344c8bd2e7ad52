"""A serving loop that stands still: where it stands is written down, and when it stays silent it is replaced.

Two questions, asked from two places. *Where does it stand?* A C thread inside the worker answers that, which needs no
lock of the interpreter: `faulthandler` writes the stacks into a pipe unless the loop re-arms it in time, and the keeper
reads them. *Is it still there?* The keeper hears a word from the worker with each turn of its watch, and after long
silence takes it for lost.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import threading
from collections.abc import Callable
from math import inf
from typing import Final

import msgspec

DUMP_AFTER_S: Final = 0.6
"""A loop that has not turned for so long has its stack written down, so that it is in the log within a second."""
REPLACE_AFTER_S: Final = 10.0
"""A worker that has not said a word for so long is taken for lost."""
START_S: Final = 60.0
"""The same before it serves: imports and the first keys may take their time."""
LOOK_S: Final = 0.5
"""How often the keeper looks."""

_LATE_S: Final = 1.0
"""When the keeper's own look is later than this, the silence before it says nothing about the worker."""
_WHOLE_AFTER_S: Final = 0.2
"""A dump has come to its end when nothing more of it has come for so long."""
_REST_S: Final = 10.0
"""Between two reports about one worker."""
_LONGEST_DUMP_BYTES: Final = 262_144
_MOST_FRAMES: Final = 40
_MAIN: Final = re.compile(rb"^main (0x[0-9a-f]+)$", re.MULTILINE)
_BEGINNING: Final = b"Timeout ("
_FRAME: Final = re.compile(rb'  File "(.*)", line (\d+|\?\?\?) in (.*)')


class Watchdog:
    """In the worker: writes all stacks into a pipe when it is not fed in time."""

    def __init__(self, pipe_fd: int, after_s: float = DUMP_AFTER_S) -> None:
        """Takes the pipe's writing end over. It never blocks: a dump nobody reads is cut short, the loop is not."""
        os.set_blocking(pipe_fd, False)
        self._pipe = open(pipe_fd, "wb", buffering=0)  # noqa: SIM115 - open until `stop`
        self._after_s = after_s
        main = threading.main_thread().ident or 0
        self._pipe.write(b"main %#x\n" % main)
        self.feed()

    def feed(self) -> None:
        """The loop turns; call it several times as often as the watchdog bites. Costs about 40 µs."""
        faulthandler.dump_traceback_later(self._after_s, file=self._pipe)

    def stop(self) -> None:
        """No dump comes after this."""
        faulthandler.cancel_dump_traceback_later()
        self._pipe.close()


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """Where a loop stood."""

    stack: list[str]
    """`file:line function`, the innermost first; no values and no source lines."""
    suppressed: int = 0
    """Dumps that were left out since the last report."""


def read_stack(dump: bytes, main: int | None) -> list[str]:
    """The main thread's frames in what faulthandler wrote, innermost first; [] where there are none.

    `main` is that thread's number; where it is not known, the last thread is taken: the first to have been made.
    """
    threads = re.split(rb"^(?=(?:Current thread|Thread) 0x)", dump, flags=re.MULTILINE)[1:]
    if not threads:
        return []
    chosen = threads[-1]
    for thread in threads:
        number = re.search(rb"0x([0-9a-f]+)", thread)
        if number is not None and int(number[1], 16) == main:
            chosen = thread
    frames = [match.groups() for match in _FRAME.finditer(chosen)]
    return [
        f"{_short(file)}:{line.decode()} {function.decode('ascii', 'replace')}"
        for file, line, function in frames[:_MOST_FRAMES]
    ]


def _short(file: bytes) -> str:
    """A file by its last folders: where the house is installed is not the log's business."""
    return "/".join(file.decode("ascii", "replace").split("/")[-3:])


class DumpReader(asyncio.Protocol):
    """In the keeper: reads one worker's pipe, and tells of each dump once it is whole. At most one in ten seconds."""

    def __init__(self, report: Callable[[Dump], None], loop: asyncio.AbstractEventLoop) -> None:
        self._report = report
        self._loop = loop
        self._main: int | None = None
        self._read = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._reported_at = -inf
        self._suppressed = 0

    def data_received(self, data: bytes) -> None:
        self._read += data[: _LONGEST_DUMP_BYTES - len(self._read)]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_WHOLE_AFTER_S, self._tell)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        if self._timer is not None:
            self._timer.cancel()
            self._tell()

    def _tell(self) -> None:
        self._timer = None
        text, self._read = bytes(self._read), bytearray()
        announced = _MAIN.search(text)
        if announced is not None:
            self._main = int(announced[1], 16)
        dumps = text.split(_BEGINNING)[1:]
        if not dumps:
            return
        now = self._loop.time()
        if now - self._reported_at < _REST_S:
            self._suppressed += len(dumps)
            return
        self._reported_at = now
        suppressed, self._suppressed = self._suppressed + len(dumps) - 1, 0
        self._report(Dump(stack=read_stack(dumps[0], self._main), suppressed=suppressed))


class Silence:
    """In the keeper: for how long a worker has said nothing, fairly judged. Times on the monotonic clock.

    A look that comes late was held up, by a machine that slept or a keeper that was stopped, and the worker may have
    been held up as well: the time before such a look does not count.
    """

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._looked_at = now
        self._patience_s = START_S

    def began(self, now: float) -> None:
        """The worker serves; from now on a word is due with each turn of its watch."""
        self._patience_s = REPLACE_AFTER_S
        self._heard_at = now

    def heard(self, now: float) -> None:
        """It said something."""
        self._heard_at = now

    def look(self, now: float) -> float | None:
        """To be called every `LOOK_S`: the length of the silence in seconds once it is too long, else None."""
        late_s = now - self._looked_at - LOOK_S
        self._looked_at = now
        if late_s > _LATE_S:
            self._heard_at = min(now, self._heard_at + late_s)
        silent_s = now - self._heard_at
        return silent_s if silent_s > self._patience_s else None
