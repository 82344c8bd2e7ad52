"""Keeps the memory of this process, in which secrets lie open, from core files and from other processes."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_dumps() -> None:
    """From now on the process leaves no core file, and only root may attach to it or look into it. Where the system
    knows no such thing, only the first. A program that is started from here has to ask for itself."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
