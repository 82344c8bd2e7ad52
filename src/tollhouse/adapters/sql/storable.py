"""The one letter that PostgreSQL cannot hold, wherever a text is stored or looked for.

A caller may have it in what it names, such as a model: its row must not be lost for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

T = TypeVar("T")
_NUL: Final = "\0"
_PICTURE: Final = "\u2400"
"""The symbol for NUL."""


def storable(value: Any) -> Any:
    """The same text, or texts in the same mappings and sequences, with every NUL as its symbol."""
    if isinstance(value, str):
        return value.replace(_NUL, _PICTURE) if _NUL in value else value
    if isinstance(value, Mapping):
        return {name: storable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([storable(one) for one in value])
    return value
