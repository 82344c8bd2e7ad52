"""Reading JSON objects member by member, so that what nobody took is known at the end.

A reader of a dialect takes every member it has a place for; what is left over is what would be lost in translation.
"""

from __future__ import annotations

import re
from typing import Any, Final

_INDEX: Final = re.compile(r"\[\d+\]")


_LARGEST: Final = 1.7976931348623157e308
"""Of the numbers that fit into 64 bits; `1e999` is JSON and becomes infinity."""


class WrongType(ValueError):
    """A member has the wrong type, or is missing. `path` names it as its sender would, `wanted` what it should be."""

    def __init__(self, path: str, wanted: str) -> None:
        super().__init__(f"`{path}` must be {wanted}" if path else f"it must be {wanted}")
        self.path = path
        self.wanted = wanted


class Leftovers:
    """Collects what nobody took, in all objects read under it. Explicit nulls count as absent."""

    __slots__ = ("_objects",)

    def __init__(self) -> None:
        self._objects: list[Fields] = []

    def note(self, fields: Fields) -> None:
        self._objects.append(fields)

    def paths(self) -> tuple[str, ...]:
        """Each once, indexes left out: `messages[].name`."""
        found: dict[str, None] = {}
        for fields in self._objects:
            for path in fields.left():
                found[_INDEX.sub("[]", path)] = None
        return tuple(found)


class Fields:
    """One object. Each `take_…` gives a member, None where it is absent or null, and counts it as taken."""

    __slots__ = ("_leftovers", "_values", "path")

    def __init__(self, value: Any, path: str, leftovers: Leftovers) -> None:
        """Raises: WrongType if it is no object."""
        if not isinstance(value, dict):
            raise WrongType(path, "an object")
        self._values = dict(value)
        self._leftovers = leftovers
        self.path = path
        leftovers.note(self)

    def left(self) -> list[str]:
        return [self.of(name) for name, value in self._values.items() if value is not None]

    def of(self, name: str) -> str:
        """The path of a member."""
        return f"{self.path}.{name}" if self.path else name

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def peek(self, name: str) -> Any:
        """The value, not counted as taken."""
        return self._values.get(name)

    def take(self, name: str) -> Any:
        """Any value."""
        return self._values.pop(name, None)

    def take_all(self) -> dict[str, Any]:
        """Everything that is left."""
        values, self._values = self._values, {}
        return values

    def ignore(self, *names: str) -> None:
        """Members that mean nothing to anybody else, so that leaving them out loses nothing."""
        for name in names:
            self._values.pop(name, None)

    def ignore_if(self, name: str, *values: Any) -> None:
        """The same where the member only says what holds anyway. `true` is not 1."""
        value = self._values.get(name)
        if any(value == usual and isinstance(value, bool) == isinstance(usual, bool) for usual in values):
            self._values.pop(name, None)

    def take_text(self, name: str) -> str | None:
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise WrongType(self.of(name), "a string")
        return value

    def need_text(self, name: str) -> str:
        value = self.take_text(name)
        if value is None:
            raise WrongType(self.of(name), "a string")
        return value

    def take_flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise WrongType(self.of(name), "true or false")
        return value

    def take_integer(self, name: str) -> int | None:
        value = self.take(name)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise WrongType(self.of(name), "an integer")
        return value

    def take_number(self, name: str) -> float | None:
        value: int | float | None = self.take(name)
        if value is not None and not _is_finite(value):
            raise WrongType(self.of(name), "a number")
        return value

    def take_list(self, name: str) -> list[Any] | None:
        value = self.take(name)
        if value is not None and not isinstance(value, list):
            raise WrongType(self.of(name), "a list")
        return value

    def take_dict(self, name: str) -> dict[str, Any] | None:
        """An object that is carried as it is."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise WrongType(self.of(name), "an object")
        return value

    def take_fields(self, name: str) -> Fields | None:
        """An object that is read in its turn."""
        value = self.take(name)
        return None if value is None else Fields(value, self.of(name), self._leftovers)

    def take_each(self, name: str) -> list[Fields]:
        """A list of objects that are read in their turn; empty where it is absent."""
        value = self.take_list(name)
        return [
            Fields(item, f"{self.of(name)}[{index}]", self._leftovers)
            for index, item in enumerate(value or [])
        ]

    def child(self, value: Any, path: str) -> Fields:
        """Another object under the same leftovers."""
        return Fields(value, path, self._leftovers)


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST <= value <= _LARGEST
