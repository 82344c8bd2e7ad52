"""What a request says that goes out unsaid, collected while it is written."""

from __future__ import annotations

from tollhouse.core.request import Field, Loss


class Losses:
    """Each loss once. `takes` answers for what the upstream refuses by declaration."""

    __slots__ = ("_losses", "unsupported")

    def __init__(self, unsupported: frozenset[Field]) -> None:
        self.unsupported = unsupported
        self._losses: dict[Loss, None] = {}

    def add(self, field: Field, why: str = "", *, is_vital: bool = False) -> None:
        self._losses[Loss(field=field, is_vital=is_vital, why=why)] = None

    def takes(self, field: Field) -> bool:
        """Whether the upstream takes what was said. If not, it is lost."""
        if field not in self.unsupported:
            return True
        self.add(field)
        return False

    def listed(self) -> tuple[Loss, ...]:
        return tuple(self._losses)
