"""Whether the house can take one call more."""

from __future__ import annotations

from typing import Protocol

from tollhouse.core.routing import Priority


class Gate(Protocol):
    """Asked before anything is done for a call: before its body is read, and before it costs anything."""

    def check(self, priority: Priority) -> None:
        """May a call of this priority come in now?

        Raises: GatewayError `overloaded` with the time after which to try again, and what there is too little of.
        """
