"""What Gemini cannot be told, collected while a request is written."""

from __future__ import annotations

from tollhouse.core.request import Field, Loss


class Losses:
    """Each loss once, in the order they were met."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[Loss, None] = {}

    def add(self, field: Field, why: str = "", *, is_vital: bool = False) -> None:
        self._found[Loss(field=field, is_vital=is_vital, why=why)] = None

    def all(self) -> tuple[Loss, ...]:
        return tuple(self._found)
