"""How it stands between a worker and the bank; for metrics, logs and people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Standing:
    """Written by the counters, read by anybody."""

    is_up: bool = False
    """The server answers."""
    is_frozen: bool = True
    """What has been spent is not known there: nothing is handed out until a keeper has rebuilt it."""
    is_barred: bool = False
    """A keeper has taken this worker for dead and closed its accounts; it decides alone, and no hard budget."""
    why: str = "not connected yet"
    """What is wrong, where something is."""
    era: str = ""
    """Of the bank: another one once it has lost something of what it held."""
    owners: int = 1
    """Workers that were heard of lately, this one among them."""
    decisions_here: int = 0
    """Calls that were decided without asking."""
    decisions_asked: int = 0
    """Calls that the bank decided."""
    round_trips: int = 0
    failures: int = 0
    """Dials and messages that came to nothing."""
