"""What a request says that its upstream will not be told, collected while it is written."""

from __future__ import annotations

from typing import Final

from tollhouse.core.request import Field, Loss
from tollhouse.ports.provider import Traits

_VITAL: Final = frozenset(
    [Field.N, Field.OUTPUT_FORMAT, Field.SERVER_TOOLS, Field.MEDIA, Field.OPAQUE_PARTS, Field.MODALITIES]
)
"""Left out as a whole, any of these makes the answer another one."""


class Losses:
    """Each loss once, in the order they were met."""

    __slots__ = ("_found", "traits")

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self._found: dict[Loss, None] = {}

    def add(self, field: Field, why: str = "", *, is_vital: bool = False) -> None:
        """See core.request.Loss."""
        self._found[Loss(field=field, is_vital=is_vital, why=why)] = None

    def takes(self, field: Field) -> bool:
        """Whether the upstream takes what is about to be written; if not, it is lost."""
        if field not in self.traits.unsupported:
            return True
        self.add(
            field, f"The upstream does not take {field.value.replace('_', ' ')}.", is_vital=field in _VITAL
        )
        return False

    def all(self) -> tuple[Loss, ...]:
        return tuple(self._found)
