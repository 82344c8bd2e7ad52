"""What the operator's door can be asked, as a worker can answer it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tollhouse.administration import Answer, Errand
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

    async def deployments(self) -> bytes:
        """A JSON document: what is known of each deployment right now. Raises: OSError when nobody can say."""

    def in_force(self) -> InForce: ...

    async def reload_by_keeper(self) -> ReloadReport:
        """Read the configuration again and serve by it, if it is good. Raises: OSError when nobody can."""

    async def administrate(self, errand: Errand) -> Answer:
        """Have the keeper do an errand: it has the store. Raises: OSError when it is gone or silent."""
