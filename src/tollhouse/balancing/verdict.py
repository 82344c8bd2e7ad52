"""How attempts end for whoever judges the deployment, and why it may take none."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """What an attempt says about the health of its deployment."""

    GOOD = "good"
    """It answered as it should."""
    BAD = "bad"
    """It did not: connection lost, 5xx, an answer that is none, one of the operator's clocks ran out."""
    LIMITED = "limited"
    """It asks for fewer calls: 429, a quota that is used up, or overload."""
    NEUTRAL = "neutral"
    """Nothing: other 4xx, errors of our own, a caller who left or who shortened a clock."""


class Shut(StrEnum):
    """Why a deployment takes no call."""

    OPEN = "open"
    """Its breaker for this kind of call is open."""
    COOLING = "cooling"
    """It said that its rate limit is reached."""
    FULL = "full"
    """As many calls are in flight as it may have."""
    PROBING = "probing"
    """Its breaker is half-open, and the one probe is under way."""


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no permit."""

    why: Shut
    until: float
    """Monotonic. The moment of asking for `full` and `probing`, which end when a call does."""
