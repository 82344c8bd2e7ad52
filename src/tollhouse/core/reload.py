"""What became of reading the configuration again."""

from __future__ import annotations

import msgspec

from .problem import ConfigProblem


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """For whoever asked for it."""

    is_taken_over: bool
    hash: str
    """Of the configuration in force now: the new one, or the one that stayed."""
    problems: tuple[ConfigProblem, ...] = ()
    """Why it stayed; or what is odd about the new one."""
    waits_for_restart: tuple[str, ...] = ()
    """Paths of settings that differ from those the house was started with, and count only from the next start."""
