"""Google's JSON: members in camelCase or snake_case alike, bytes in either alphabet of base64.

Protocol buffers' JSON mapping takes both spellings of a name and both alphabets, with or without padding
(https://protobuf.dev/programming-guides/json/, read 2026-11-25); google-genai and its predecessors use all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

_HUMP: Final = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")
_SPACE: Final = re.compile(r"\s+")
_URL_SAFE: Final = str.maketrans("-_", "+/")


@lru_cache(maxsize=4096)
def camel(name: str) -> str:
    """The name in camelCase: `inline_data` is `inlineData`."""
    return _HUMP.sub(lambda match: match[1].upper(), name)


def standard_base64(text: str) -> str:
    """The same bytes in the standard alphabet, padded. What is no base64 comes back as it came, more or less."""
    text = _SPACE.sub("", text).translate(_URL_SAFE).rstrip("=")
    return text + "=" * (-len(text) % 4)


class GoogleFields(Fields):
    """An object whose members are asked for in camelCase and may be written in snake_case; paths stay as written."""

    __slots__ = ("_written",)

    def __init__(self, value: Any, path: str, leftovers: Leftovers) -> None:
        """Raises: WrongType if it is no object."""
        super().__init__(value, path, leftovers)
        self._written: dict[str, str] = {}
        written, self._values = self._values, {}
        for name, member in written.items():
            known = camel(name)
            if known != name and known in written:
                known = name  # said in both spellings: the other one counts, this one is left over
            elif known != name:
                self._written[known] = name
            self._values[known] = member

    def of(self, name: str) -> str:
        return super().of(self._written.get(name, name))

    def left_names(self) -> list[str]:
        """The members nobody has taken yet, in camelCase."""
        return [name for name, value in self._values.items() if value is not None]

    def take_fields(self, name: str) -> GoogleFields | None:
        value = self.take(name)
        return None if value is None else GoogleFields(value, self.of(name), self._leftovers)

    def take_each(self, name: str) -> list[Fields]:
        return list(self.each(name))

    def each(self, name: str) -> list[GoogleFields]:
        """A list of objects that are read in their turn, or one object in place of a list of one."""
        value = self.take(name)
        if isinstance(value, dict):
            value = [value]
        if value is not None and not isinstance(value, list):
            raise WrongType(self.of(name), "a list")
        return [
            GoogleFields(item, f"{self.of(name)}[{index}]", self._leftovers)
            for index, item in enumerate(value or [])
        ]

    def child(self, value: Any, path: str) -> GoogleFields:
        return GoogleFields(value, path, self._leftovers)

    def take_word(self, name: str, among: Iterable[str]) -> str | None:
        """A word of an enumeration in upper case, which may be written in any case or as its number."""
        words = tuple(among)
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(words):
            return words[value]
        if isinstance(value, str) and value.upper() in words:
            return value.upper()
        raise WrongType(self.of(name), "one of " + ", ".join(words))
