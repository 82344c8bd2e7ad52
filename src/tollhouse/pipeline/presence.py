"""Who is inside: the exchanges that are going on, so that they can be ended when their key does not open any more, or
when what they go through is paused."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, Final

from tollhouse.core.errors import GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.passage import Passage
from tollhouse.core.pauses import Pauses
from tollhouse.stages.authenticate import Keyring

_LOOK_S: Final = 2.0


class Presence:
    """The exchanges of one process, each with the task that will settle it. Outlives reloads."""

    __slots__ = ("_looked_at", "_seen_changes", "_seen_pauses", "_tasks", "ended")

    def __init__(self) -> None:
        self._tasks: dict[Passage, asyncio.Task[Any]] = {}
        self._seen_changes = self._seen_pauses = -1
        self._looked_at = -inf
        self.ended = 0
        """Exchanges that were ended because of their keys or a pause, since the start."""

    def __len__(self) -> int:
        return len(self._tasks)

    def enter(self, passage: Passage) -> None:
        """From now on the task that calls this carries the exchange, also one that another task has carried so far."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks[passage] = task

    def leave(self, passage: Passage) -> None:
        """It is about to be settled."""
        self._tasks.pop(passage, None)

    def end_closed(self, keyring: Keyring, pauses: Pauses, now: float) -> None:
        """End the exchanges whose keys have been revoked, disabled or withdrawn, or have expired, at `now` or before;
        and those whose key, team, route, or whoever answers them, has been paused.

        To be called a few times a second: looks at once where keys or pauses have changed, and otherwise every other
        second for those that expire, or have gone over to what is paused. Each is cancelled in its own task, and then
        tells its caller why, see `endings`: also those that go on without one, and those whose answer is recorded.
        """
        is_same = keyring.changes == self._seen_changes and pauses.version == self._seen_pauses
        if is_same and 0 <= now - self._looked_at < _LOOK_S:
            return
        self._seen_changes, self._seen_pauses, self._looked_at = keyring.changes, pauses.version, now
        judged: dict[str, GatewayError | None] = {}
        for passage, task in list(self._tasks.items()):
            principal = passage.principal
            if principal is None:
                continue
            key_id = principal.key_id
            if key_id in judged:
                why = judged[key_id]
            else:
                why = judged[key_id] = keyring.why_closed(key_id, now)
            if why is None and pauses:
                why = _why_paused(pauses, passage)
            if why is not None and passage.outcome is Outcome.OPEN and not task.cancelling():
                passage.ended_by = why
                self.ended += 1
                task.cancel()


def _why_paused(pauses: Pauses, passage: Passage) -> GatewayError | None:
    principal = passage.principal
    assert principal is not None
    why = pauses.refusal(route=passage.route, key_id=principal.key_id, team=principal.team)
    if why is not None or not passage.attempts or passage.attempts[-1].outcome is not Outcome.OPEN:
        return why
    candidate = passage.attempts[-1].candidate
    deployment = candidate.deployment
    return pauses.refusal(route=candidate.route, provider=deployment.provider, deployment=deployment.id)
