"""Who is alive: a lock file per writer, held until the process ends, however it ends.

The kernel gives an flock back on kill -9, so a lock that can be had belongs to somebody dead.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOCK_SUFFIX: Final = ".lock"
_PRIVATE: Final = 0o600


def hold(path: Path) -> int:
    """Create the lock file, take the lock and return its descriptor; closing that gives the lock back.

    A reader may tidy the file away between creating and locking; then it is made anew.
    Raises: FileExistsError if the file is there: writers' ids are never used twice.
    """
    while True:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)


@contextmanager
def taken(path: Path, *, creates: bool) -> Iterator[bool]:
    """Whether the lock could be had; it is held inside the block. A missing file is nobody's, so it counts as had."""
    try:
        fd = os.open(path, os.O_RDWR | (os.O_CREAT if creates else 0), _PRIVATE)
    except FileNotFoundError:
        if creates:
            raise
        yield True
        return
    try:
        yield _try_lock(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
