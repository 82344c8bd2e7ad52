"""What one call sees of the deployments it could go to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tollhouse.core.operation import Operation
from tollhouse.core.routing import Deployment

from .standing import Standing

Seen = tuple[int, Standing]
"""A position in the list of deployments that can take a call now."""


class Survey:
    """Looks at deployments for one call, as few as it is asked to."""

    __slots__ = ("_deployments", "_standing", "draw", "kind", "now", "session", "shut")

    def __init__(
        self,
        deployments: Sequence[Deployment],
        standing: Callable[[Deployment], Standing],
        kind: Operation,
        now: float,
        draw: Callable[[], float],
        session: bytes | None,
    ) -> None:
        self._deployments = deployments
        self._standing = standing
        self.kind = kind
        self.now = now
        self.draw = draw
        """A number in [0, 1), another one each time."""
        self.session = session
        self.shut: list[tuple[float, int]] = []
        """Those seen that can take no call: until when, and the position."""

    def see(self, positions: Iterable[int]) -> list[Seen]:
        """Those that can take a call, in the order given. Each position may be looked at once."""
        deployments, standing, kind, now = self._deployments, self._standing, self.kind, self.now
        usable = []
        for position in positions:
            known = standing(deployments[position])
            refusal = known.refusal(kind, now)
            if refusal is None:
                usable.append((position, known))
            else:
                self.shut.append((refusal.until, position))
        return usable
