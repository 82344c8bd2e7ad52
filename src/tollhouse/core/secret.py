"""A secret is a type that cannot be printed.

Everything that shows an object to a person or a file (`str`, `repr`, formatting, JSON, pickling) shows `***`; the
value leaves only by the name `reveal`, so that a search for that word finds every place a secret can escape from.
"""

from __future__ import annotations

import hmac
from typing import Never


class Secret:
    """A text that must not be shown. Equal to nothing but itself, so that comparing cannot leak it by timing."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that needs it."""
        return self._value

    def matches(self, other: Secret) -> bool:
        """Whether both hold the same text, without telling by timing how much of it is the same."""
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a secret is not pickled")
