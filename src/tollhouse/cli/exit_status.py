"""What a command tells the shell; part of the public contract."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """0 done, 1 the thing asked for is wrong, 2 wrong usage, 3 the environment failed, 130 Ctrl-C."""

    DONE = 0
    WRONG = 1
    USAGE = 2
    ENVIRONMENT = 3
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command cannot go on: what is wrong, what to do, and the status to leave with."""

    def __init__(self, status: ExitStatus, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
