"""What the operator's door can be asked, as a worker can answer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tollhouse.core.problem import ConfigProblem
from tollhouse.core.reload import ReloadReport


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that decides; nothing in it is secret."""

    hash: str
    loaded_at: str
    """ISO 8601 in UTC."""
    warnings: tuple[ConfigProblem, ...]
    waits_for_restart: tuple[str, ...]


class Office(Protocol):
    """Who knows."""

    def deployments(self) -> Sequence[object]:
        """One msgspec.Struct for each deployment: what is known of it right now."""

    def in_force(self) -> InForce: ...

    async def reload_by_keeper(self) -> ReloadReport:
        """Read the configuration again and serve by it, if it is good. Raises: OSError when nobody can."""
