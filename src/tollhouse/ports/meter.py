"""Looks on while an answer goes by that nobody may touch."""

from __future__ import annotations

from typing import Protocol

from tollhouse.ports.dialect import Reading


class Meter(Protocol):
    """Reads usage off one answer. Never raises, and holds no more of the answer than a bound."""

    def begin(self, content_type: bytes) -> None:
        """The head of a good answer has come, and its body will be plain."""

    def see(self, data: bytes) -> None:
        """The next bytes of the body; `b""` is its proper end."""

    @property
    def reading(self) -> Reading:
        """What is known so far, which may stay nothing."""
