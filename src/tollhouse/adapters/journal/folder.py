"""How much the journal's folder holds, without asking the file system at every write."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from tollhouse.adapters.journal.framing import parse_segment_name

_LOOK_AGAIN_BYTES: Final = 1 << 20
_LOOK_AGAIN_S: Final = 0.5


class FolderSize:
    """The segments of all writers. Between two looks only this process's own writing is added, so with N writers it
    may be N MiB behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._size_bytes = segments_bytes(folder)
        self._added_bytes = 0
        self._look_at = 0.0

    def add(self, size_bytes: int) -> None:
        """So much was written just now."""
        self._size_bytes += size_bytes
        self._added_bytes += size_bytes
        if self._added_bytes >= _LOOK_AGAIN_BYTES:
            self._look()

    def is_below(self, limit_bytes: int, now: float) -> bool:
        """Whether the folder holds less. Where it does not, looks again, at most twice a second of `now`."""
        if self._size_bytes < limit_bytes:
            return True
        if now >= self._look_at:
            self._look_at = now + _LOOK_AGAIN_S
            self._look()
        return self._size_bytes < limit_bytes

    def _look(self) -> None:
        self._added_bytes = 0
        with suppress(OSError):  # what was known stays good enough
            self._size_bytes = segments_bytes(self._folder)


def segments_bytes(folder: Path) -> int:
    """The sum of the segments' sizes. Raises: OSError."""
    total = 0
    with os.scandir(folder) as found:
        for item in found:
            if parse_segment_name(item.name):
                with suppress(FileNotFoundError):  # folded and removed just now
                    total += item.stat().st_size
    return total
