"""What an upstream will not be told, collected while a request is written."""

from __future__ import annotations

from tollhouse.core.request import Field, Loss
from tollhouse.ports.provider import Traits


class Losses:
    """Each field and reason once."""

    __slots__ = ("_losses", "unsupported")

    def __init__(self, traits: Traits) -> None:
        self._losses: dict[Loss, None] = {}
        self.unsupported = traits.unsupported

    def add(self, field: Field, why: str = "", *, is_vital: bool = False) -> None:
        self._losses[Loss(field=field, is_vital=is_vital, why=why)] = None

    def refuses(self, field: Field) -> bool:
        """Whether the upstream takes no such thing: then it is noted as lost."""
        if field not in self.unsupported:
            return False
        self.add(field)
        return True

    def all(self) -> tuple[Loss, ...]:
        return tuple(self._losses)
