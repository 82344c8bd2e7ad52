"""What a house has in common with others: its counters, who looks after them, and word of what has changed.

In memory there is nothing in common; only where Redis is named its library is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollhouse.adapters.system import SystemClock
from tollhouse.core.secret import Secret

if TYPE_CHECKING:
    from tollhouse.adapters.redis import RedisAnswers, RedisCounters, RedisNews, RedisTreasury
    from tollhouse.runtime.link import Boot

_MEMORY: Final = "memory"


def shared_counters(boot: Boot, clock: SystemClock) -> RedisCounters | None:
    """A worker's, not started yet; None where it counts for itself. Raises: CannotServe without the library."""
    url = boot.shared.reveal()
    if url == _MEMORY:
        return None
    from tollhouse.adapters.redis import RedisCounters  # noqa: PLC0415

    return RedisCounters(url, boot.writer, clock, owners=boot.seats)


def shared_answers(boot: Boot, clock: SystemClock) -> RedisAnswers | None:
    """A worker's way to what others have recorded, not started yet; None where it knows of its own answers only."""
    url = boot.shared.reveal()
    if url == _MEMORY:
        return None
    from tollhouse.adapters.redis import RedisAnswers  # noqa: PLC0415
    from tollhouse.adapters.sealing.answers import SaltedSealer  # noqa: PLC0415

    return RedisAnswers(url, clock, boot.pepper, SaltedSealer(boot.answer_keys))


def treasury_of(shared: Secret, clock: SystemClock) -> RedisTreasury | None:
    """The keeper's way to the counters; None where there are none in common."""
    if shared.reveal() == _MEMORY:
        return None
    from tollhouse.adapters.redis import RedisTreasury  # noqa: PLC0415

    return RedisTreasury(shared.reveal(), clock)


def news_of(shared: Secret, clock: SystemClock) -> RedisNews | None:
    """How houses tell one another that keys have changed; None where there is one only."""
    if shared.reveal() == _MEMORY:
        return None
    from tollhouse.adapters.redis import RedisNews  # noqa: PLC0415

    return RedisNews(shared.reveal(), clock)
