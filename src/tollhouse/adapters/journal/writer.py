"""The journal of one serving process: everything that became ready in one turn of the loop goes out in one write."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

import msgspec

from tollhouse.adapters.journal.appender import SegmentAppender, WriteCall
from tollhouse.adapters.journal.folder import FolderSize
from tollhouse.adapters.journal.framing import frame, is_writer_name
from tollhouse.adapters.journal.locks import LOCK_SUFFIX, hold
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import AttemptIntent, AuthEvent, Settlement

_LOOK_S: Final = 1.0
"""How often it is seen whether the folder is still there."""
_ORPHAN: Final = "its folder was taken away; restart the house"
_RETRY_S: Final = 0.5
_MAX_KEPT_BYTES: Final = 16 << 20
_SHARE: Final = 16
"""A segment is at most this part of the folder's bound, so that the newest ones, which stay until they are full, cannot
fill it by themselves; and this part more is kept free for notes when intents are refused."""

Waiter = asyncio.Future[str | None]
"""Resolved with None when the intent is safe, else with the reason why it is not."""
Queue = list[tuple[bytes, Waiter | None]]


class FileJournal:
    """Implements `ports.journal.Journal` on the running event loop. One per process; not for several threads.

    `writer` names the process, sorts by start time and is never used twice. With durability "power" an intent is safe
    only after a group `fdatasync`. The folder holds about `max_bytes` (a writer looks once per MiB it wrote); beyond
    that intents are refused, and notes may still use a sixteenth more. What cannot be written is kept, up to
    `max_kept_notes` and 16 MiB, the oldest first, and tried again twice a second; the last time, on closing, whatever
    the folder holds.

    Raises (on construction): OSError if the folder cannot be used, FileExistsError if the writer's name is taken.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        *,
        durability: Literal["process", "power"] = "process",
        segment_bytes: int = 8 << 20,
        max_bytes: int = 1 << 30,
        max_kept_notes: int = 10_000,
        write: WriteCall = os.write,
    ) -> None:
        if not is_writer_name(writer):
            raise ValueError(
                f"a writer's name is made of letters, digits, dots, dashes and underscores: {writer!r}"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_power_safe = durability == "power"
        self._lock_fd = hold(folder / (writer + LOCK_SUFFIX))
        segment_bytes = min(segment_bytes, max_bytes // _SHARE)
        self._appender = SegmentAppender(
            folder, writer, segment_bytes=segment_bytes, is_synced=is_power_safe, write=write
        )
        self._folder_size = FolderSize(folder)
        self._max_bytes = max_bytes
        self._max_kept_notes = max_kept_notes
        self._encode = msgspec.msgpack.Encoder().encode
        self._queue: Queue = []
        self._queue_bytes = 0
        self._flushing: asyncio.Handle | None = None
        self._blocked: str | None = None
        self._look_at = 0.0
        self._is_orphan = False
        """Somebody removed the folder under us: nobody would ever read what is written."""
        self._is_closed = False
        self._executor = ThreadPoolExecutor(1, "journal-sync") if is_power_safe else None
        self._unsynced: list[Waiter] = []
        self._syncing: list[Waiter] = []
        self.entries = 0
        """Entries the kernel took."""
        self.written_bytes = 0
        self.flushes = 0
        """Writes that put at least one entry into a segment."""
        self.failures = 0
        """Writes and syncs that did not do all they should."""
        self.dropped = 0
        """Notes lost: no room to keep them, or not to be written at all."""
        self.refused = 0
        """Intents answered with `overloaded`."""

    async def write_ahead(self, intent: AttemptIntent) -> None:
        """See `ports.journal.Journal`. A cancelled caller's intent is written all the same."""
        loop = asyncio.get_running_loop()
        reason = self._why_not(loop.time())
        if reason is None:
            waiter: Waiter = loop.create_future()
            self._enqueue(loop, self._framed(intent), waiter)
            reason = await waiter
        if reason is not None:
            self.refused += 1
            raise _overloaded(reason)

    def note(self, entry: Settlement | AuthEvent) -> None:
        """See `ports.journal.Journal`."""
        is_room = len(self._queue) < self._max_kept_notes and self._queue_bytes < _MAX_KEPT_BYTES
        if self._is_closed or not is_room:
            self.dropped += 1
            return
        try:
            framed = frame(self._encode(entry))
        except (ValueError, OverflowError):
            self.dropped += 1
            return
        self._enqueue(asyncio.get_running_loop(), framed, None)

    @property
    def blocked(self) -> str | None:
        """Why nothing may be spent now; None while all is well."""
        return self._blocked

    def close(self) -> None:
        """See `ports.journal.Journal`. Whoever still waits is answered; closing twice is harmless."""
        if self._is_closed:
            return
        if self._flushing is not None:
            self._flushing.cancel()
        self._write_out()
        self._is_closed = True
        self.dropped += len(self._queue)
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            waiting, self._syncing, self._unsynced = [*self._syncing, *self._unsynced], [], []
            _answer(waiting, self._sync_now() if waiting else None)
        self._appender.close()
        os.close(self._lock_fd)

    def _framed(self, intent: AttemptIntent) -> bytes:
        try:
            return frame(self._encode(intent))
        except (ValueError, OverflowError) as fault:
            raise GatewayError(
                ErrorKind.INTERNAL, f"the journal cannot hold this call: {fault}", blame=Blame.GATEWAY
            ) from fault

    def _why_not(self, now: float) -> str | None:
        if self._is_closed:
            return "this process is shutting down"
        if self._blocked is not None:
            return self._blocked
        return self._why_full(self._max_bytes, now)

    def _why_full(self, limit_bytes: int, now: float) -> str | None:
        if self._folder_size.is_below(limit_bytes, now):
            return None
        return f"it holds {limit_bytes} bytes that are not in the books yet"

    def _enqueue(self, loop: asyncio.AbstractEventLoop, framed: bytes, waiter: Waiter | None) -> None:
        self._queue.append((framed, waiter))
        self._queue_bytes += len(framed)
        if self._flushing is None:
            self._flushing = loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flushing = None
        now = loop.time()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._is_orphan = os.fstat(self._lock_fd).st_nlink == 0
        self._blocked = self._write_out(now)
        if self._blocked is not None:
            self._flushing = loop.call_later(_RETRY_S, self._flush, loop)
        elif self._executor is not None:
            self._sync_group(loop, self._executor)

    def _write_out(self, now: float | None = None) -> str | None:
        """Hand the queue to the kernel. What failed: intents are answered so, notes are the new queue.

        Returns why not all of it was written, or None.
        """
        queue, self._queue, self._queue_bytes = self._queue, [], 0
        if not queue:
            return None
        reason = _ORPHAN if self._is_orphan else None
        if reason is None and now is not None:
            reason = self._why_full(self._max_bytes + self._max_bytes // _SHARE, now)
        count = 0
        if reason is None:
            frames = [framed for framed, _ in queue]
            count, fault = self._appender.append(frames)
            reason = None if fault is None else fault.strerror or str(fault)
            self._count(frames[:count])
        done = queue if count == len(queue) else queue[:count]
        self._safe([waiter for _, waiter in done if waiter is not None])
        if reason is not None:
            self.failures += 1
            self._keep_notes(queue[count:], reason)
        return reason

    def _count(self, frames: list[bytes]) -> None:
        size = sum(map(len, frames))
        self.entries += len(frames)
        self.written_bytes += size
        self.flushes += bool(frames)
        self._folder_size.add(size)

    def _keep_notes(self, failed: Queue, reason: str) -> None:
        _answer([waiter for _, waiter in failed if waiter is not None], reason)
        self._queue = [(framed, None) for framed, waiter in failed if waiter is None]
        self._queue_bytes = sum(len(framed) for framed, _ in self._queue)

    def _safe(self, waiters: list[Waiter]) -> None:
        if self._executor is None:
            _answer(waiters, None)
        else:
            self._unsynced += waiters

    def _sync_group(self, loop: asyncio.AbstractEventLoop, executor: ThreadPoolExecutor) -> None:
        """One sync at a time; the next group collects meanwhile."""
        if self._syncing or not self._unsynced:
            return
        self._syncing, self._unsynced = self._unsynced, []
        retired = self._appender.retired
        future = loop.run_in_executor(executor, self._appender.sync_job())

        def ended(done: asyncio.Future[None]) -> None:
            fault = done.exception()
            if self._is_closed:
                return
            waiters, self._syncing = self._syncing, []
            _answer(waiters, None if fault is None else self._sync_failed(fault))
            self._appender.close_retired(retired)
            self._sync_group(loop, executor)

        future.add_done_callback(ended)

    def _sync_now(self) -> str | None:
        try:
            self._appender.sync_job()()
        except OSError as fault:
            return self._sync_failed(fault)
        return None

    def _sync_failed(self, fault: BaseException) -> str:
        """After a failed sync the kernel may call lost pages clean, so nothing more is trusted to that segment."""
        self.failures += 1
        self._appender.spoil()
        return str(getattr(fault, "strerror", None) or fault)


def _answer(waiters: list[Waiter], reason: str | None) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(reason)


def _overloaded(reason: str) -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        f"The journal takes nothing now, so nothing may be spent: {reason}.",
        blame=Blame.OPERATOR,
        hint="Try again shortly. Operators: look at free disk space and at whether the store can be reached.",
        retry_after_s=1.0,
    )
