"""Standings as they are shown: to metrics, the admin API and people. Copies; nothing in them changes."""

from __future__ import annotations

import msgspec

from tollhouse.core.operation import Operation

from .breaker import State
from .health import Checked


class KindView(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of call at one deployment."""

    kind: Operation
    state: State
    until_s: float
    """Seconds until an open breaker lets a probe through; 0 otherwise."""
    latency_s: float | None
    """To the first token, fading; None where nothing was heard lately."""
    calls: int
    """Since the process started, whatever became of them."""
    failures: int
    recent_calls: int
    """Those in the breaker's window, good and bad only."""
    recent_failures: int
    ejections: int
    """How often the breaker has opened."""


class StandingView(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment. The kinds are those it has been called for."""

    provider: str
    model: str
    dialect: str | None
    kinds: tuple[KindView, ...]
    cooling_s: float
    """Seconds until a rate limit is taken to be over; 0 where there is none."""
    in_flight: int
    repeats: int
    """Those in flight that are not the first attempt of their call."""
    limit: int
    """How many may be in flight now."""
    waiting: int
    latency_s: float | None
    """The worst of the kinds."""
    calls: int
    failures: int
    limited: int
    """How often it asked for fewer calls."""
    ejections: int
    checked: Checked | None = None
    """What the last active check of its provider found; None where there was none."""
    checked_before_s: float | None = None
    """How long ago that was."""
