"""A conversation as an upstream was sent it, the same for every wire API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class HeldThought:
    """Reasoning of an earlier answer that came back; `text` is None where the API has none of it."""

    text: str | None
    signature: str | None


@dataclass
class HeldText:
    text: str


@dataclass
class HeldCall:
    id: str | None
    name: str
    arguments: Any
    signature: str | None = None
    """Where the API signs calls."""
    item: str | None = None
    """The id of the item it came in, where the API has items."""


@dataclass
class HeldResult:
    id: str | None
    name: str | None
    text: str


Held = HeldThought | HeldText | HeldCall | HeldResult


@dataclass
class Entry:
    """What one side said without the other in between. Roles: `user`, `assistant`, `results`."""

    role: str
    parts: list[Held] = field(default_factory=list)

    @property
    def calls(self) -> list[HeldCall]:
        return [part for part in self.parts if isinstance(part, HeldCall)]

    @property
    def results(self) -> list[HeldResult]:
        return [part for part in self.parts if isinstance(part, HeldResult)]

    @property
    def thoughts(self) -> list[HeldThought]:
        return [part for part in self.parts if isinstance(part, HeldThought)]


@dataclass
class Asked:
    """One request, read."""

    model: str
    is_stream: bool
    entries: list[Entry]
    tools: list[str]
    """The names of the tools offered."""
    thinks: bool
    """Whether reasoning was asked for."""

    @property
    def turn(self) -> int:
        """How many answers the model has given in this conversation."""
        return sum(entry.role == "assistant" for entry in self.entries)


def push(entries: list[Entry], role: str, part: Held) -> None:
    """Add a part to the last entry if it has the role, else to a new one."""
    if not entries or entries[-1].role != role:
        entries.append(Entry(role))
    entries[-1].parts.append(part)
