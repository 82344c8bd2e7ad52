"""The rules of the house on their way from the store to every worker: what is paused, and who has limits besides keys.

Their version is looked at twice a second, and at once when somebody has changed something. They are few, and told
whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from tollhouse.ports.administration import HouseRules
from tollhouse.ports.store import StoreUnavailable

from .link import Rules
from .seat import Seat

_LOOK_S: Final = 0.5

RulesSince = Callable[[int], Awaitable[HouseRules | None]]
"""The rules, or None where they are still those of that version. Raises: StoreUnavailable."""


class RulesPush:
    """Keeps what the workers know of the rules like the store's. Where it is out of reach they go by what they know."""

    def __init__(self, tell: Callable[[Rules], None], rules_since: RulesSince) -> None:
        """`tell` is heard by every worker."""
        self._tell = tell
        self._rules_since = rules_since
        self._known = Rules(HouseRules(version=-1))

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell."""
        return self._known.rules.version >= 0

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Tell every worker what is new. Raises: StoreUnavailable."""
        rules = await self._rules_since(self._known.rules.version)
        # Two looks at once may end in either order: what is older is not told after what is newer.
        if rules is not None and rules.version > self._known.rules.version:
            self._known = Rules(rules)
            self._tell(self._known)

    def stand_in(self, rules: HouseRules) -> None:
        """Go by these, which are not from the store itself, until it tells newer ones."""
        if rules.version > self._known.rules.version:
            self._known = Rules(rules)
            self._tell(self._known)

    def greet(self, seat: Seat) -> None:
        """Tell a new worker what all others know."""
        if self.is_known:
            seat.tell(self._known)
