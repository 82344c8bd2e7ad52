"""What a request loses on its way to an upstream."""

from __future__ import annotations

from tollhouse.core.request import Field, Loss
from tollhouse.ports.provider import Traits

_VITAL = frozenset(
    [Field.N, Field.OUTPUT_FORMAT, Field.SERVER_TOOLS, Field.MEDIA, Field.OPAQUE_PARTS, Field.MODALITIES]
)
"""Without these the answer would be another one."""


class Losses:
    """Collects losses, each once, in the order they were met."""

    __slots__ = ("_found", "traits")

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self._found: dict[tuple[Field, str], Loss] = {}

    def note(self, field: Field, why: str = "", *, is_vital: bool | None = None) -> None:
        vital = field in _VITAL if is_vital is None else is_vital
        self._found.setdefault((field, why), Loss(field=field, is_vital=vital, why=why))

    def takes(self, field: Field) -> bool:
        """Whether the upstream takes a field that is about to be written; if not, it is noted."""
        if field not in self.traits.unsupported:
            return True
        self.note(field, f"The upstream does not take {field.value.replace('_', ' ')}.")
        return False

    def all(self) -> tuple[Loss, ...]:
        return tuple(self._found.values())
