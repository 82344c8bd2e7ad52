"""The mock provider as a server: performs scripts over real sockets, and remembers what it was sent."""

from __future__ import annotations

from .server import MockServer

__all__ = ["MockServer"]
