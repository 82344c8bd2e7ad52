"""Ids of tool calls where somebody left them out, or wrote them as somebody else refuses them."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import Final

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_LENGTHS: Final = (24, 9, 32, 40, 64, 16, 12, 8)
"""Lengths tried for a replacement; Mistral takes nine letters and no others."""


def made_id(*named: object) -> str:
    """An id that is the same for the same names and no other."""
    said = "\0".join([str(name) for name in named])
    return "call_" + sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@lru_cache(maxsize=4096)
def fitting_id(call_id: str, pattern: str | None) -> str:
    """The id, or if it is not of the pattern one that is: the same for the same id."""
    if pattern is None or re.fullmatch(pattern, call_id):
        return call_id
    number = int.from_bytes(sha256(call_id.encode("utf-8", "surrogatepass")).digest(), "big")
    digits = []
    for _ in range(max(_LENGTHS)):
        number, digit = divmod(number, len(_LETTERS))
        digits.append(_LETTERS[digit])
    letters = "".join(digits)
    for length in _LENGTHS:
        for replacement in (letters[:length], "call_" + letters[:length]):
            if re.fullmatch(pattern, replacement):
                return replacement
    return call_id
