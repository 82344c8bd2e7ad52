"""What the bodies of all requests together may take, and what they take now."""

from __future__ import annotations

from tollhouse.core.errors import Blame, ErrorKind, GatewayError


class BodyRoom:
    """One bound over all connections. A body takes its room before it is read, and gives it back when it is let go."""

    __slots__ = ("held_bytes", "limit_bytes", "refused")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.refused = 0
        """How many bodies found no room."""

    def take(self, size: int) -> bool:
        """Whether there was room for so many bytes more; then they are taken."""
        held = self.held_bytes + size
        if held > self.limit_bytes:
            self.refused += 1
            return False
        self.held_bytes = held
        return True

    def give(self, size: int) -> None:
        """So many bytes are not held any more."""
        self.held_bytes -= size


def no_room_for_body() -> GatewayError:
    """What a caller is told whose body finds none."""
    return GatewayError(
        ErrorKind.OVERLOADED,
        "The gateway holds as many bytes of requests as it can; this one's body was not read.",
        blame=Blame.OPERATOR,
        hint="Try again shortly. Operator: see server.max_buffered_bytes.",
        retry_after_s=1.0,
    )
