"""One writer's newest segment: whole frames go in or nothing does, and it is followed by the next when it is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tollhouse.adapters.journal.framing import HEADER, segment_name

_PRIVATE: Final = 0o600
WriteCall = Callable[[int, bytes], int]


class SegmentAppender:
    """Appends to `<writer>-<sequence>.journal`. Blocking, for short writes to the page cache; not for two threads,
    except that the callable from `sync_job` may run elsewhere."""

    def __init__(
        self, folder: Path, writer: str, *, segment_bytes: int, is_synced: bool, write: WriteCall
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._segment_bytes = segment_bytes
        self._is_synced = is_synced
        self._write = write
        self._sequence = 0
        self._fd: int | None = None
        self._size_bytes = 0
        self._is_spoilt = False
        self._retired: list[int] = []

    def append(self, frames: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write the frames with one system call if the kernel takes them so.

        Returns how many stand whole in the segment, and why it is not all of them.
        """
        try:
            fd = self._segment()
        except OSError as fault:
            return 0, fault
        head = b"" if self._size_bytes else HEADER
        block = b"".join((head, *frames))
        written, fault_or_none = self._write_all(fd, block)
        if fault_or_none is None:
            self._size_bytes += written
            return len(frames), None
        return self._keep_whole(fd, len(head), frames, written), fault_or_none

    def spoil(self) -> None:
        """Write to this segment no more: the next append begins another."""
        self._is_spoilt = True

    def sync_job(self) -> Callable[[], None]:
        """A call for another thread that returns when all that has been appended so far survives a power cut."""
        fds = [*self._retired, *([] if self._fd is None else [self._fd])]
        folder = self._folder

        def job() -> None:
            for fd in fds:
                os.fdatasync(fd)
            folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder_fd)
            finally:
                os.close(folder_fd)

        return job

    @property
    def retired(self) -> int:
        """How many full segments are still open because they have not been synced."""
        return len(self._retired)

    def close_retired(self, count: int) -> None:
        """Close the `count` oldest of them: a job made when there were that many has ended."""
        done, self._retired = self._retired[:count], self._retired[count:]
        for fd in done:
            os.close(fd)

    def close(self) -> None:
        """Give the files up."""
        self.close_retired(len(self._retired))
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _segment(self) -> int:
        if self._fd is not None and not self._is_spoilt and self._size_bytes < self._segment_bytes:
            return self._fd
        path = self._folder / segment_name(self._writer, self._sequence + 1)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, _PRIVATE)
        if self._fd is not None:
            self._retired.append(self._fd)
            if not self._is_synced:
                self.close_retired(1)
        self._sequence += 1
        self._fd, self._size_bytes, self._is_spoilt = fd, 0, False
        return fd

    def _write_all(self, fd: int, block: bytes) -> tuple[int, OSError | None]:
        written = 0
        while written < len(block):
            try:
                size = self._write(fd, block[written:] if written else block)
            except OSError as fault:
                return written, fault
            if size == 0:
                return written, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += size
        return written, None

    def _keep_whole(self, fd: int, head_bytes: int, frames: Sequence[bytes], written: int) -> int:
        """Cut off the torn end, never a whole frame: a reader may have gone past that already."""
        count, whole = 0, 0
        if written >= head_bytes:
            whole = head_bytes
            for frame in frames:
                if whole + len(frame) > written:
                    break
                whole += len(frame)
                count += 1
        if written > whole:
            # Bytes that a reader may be looking at are never written over: go on in a fresh segment. If even cutting
            # fails, the reader finds a torn end there and says so.
            self._is_spoilt = True
            with suppress(OSError):
                os.ftruncate(fd, self._size_bytes + whole)
        self._size_bytes += whole
        return count
