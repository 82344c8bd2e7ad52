"""Arguments of a function call that come piece by piece.

With `streamFunctionCallArguments`, Vertex AI sends a call's name first (`willContinue`), then `partialArgs`, each a
JSON path and a piece of the value there, and an empty `functionCall` at the end (PartialArg in google-genai 3.6.1,
read 2026-11-25).
"""

from __future__ import annotations

import re
from typing import Any, Final

from tollhouse.core.content import Signature

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_MOST_ITEMS: Final = 100_000


class PartialCall:
    """One call in the making. Work is linear in what comes."""

    __slots__ = ("_root", "id", "name", "signature")

    def __init__(self, call_id: str | None, name: str, signature: Signature | None) -> None:
        self.id = call_id
        self.name = name
        self.signature = signature
        self._root: dict[Any, Any] = {}

    def add(self, pieces: object) -> None:
        """Take the `partialArgs` of one part."""
        for piece in pieces if isinstance(pieces, list) else []:
            if isinstance(piece, dict):
                self._put(piece)

    def add_whole(self, arguments: object) -> None:
        """Take `args`, should they come whole after all."""
        if isinstance(arguments, dict):
            self._root.update(arguments)

    def _put(self, piece: dict[str, Any]) -> None:
        path = piece.get("jsonPath")
        steps = _steps(path) if isinstance(path, str) else []
        if not steps:
            return
        node = self._root
        for step in steps[:-1]:
            below = node.get(step)
            if not isinstance(below, dict):
                below = node[step] = {}
            node = below
        last = steps[-1]
        text = piece.get("stringValue")
        if isinstance(text, str):
            known = node.get(last)
            if isinstance(known, _Pieces):
                known.append(text)
            else:
                node[last] = _Pieces([text])
            return
        for name in ("numberValue", "boolValue"):
            if name in piece:
                node[last] = piece[name]
                return
        node[last] = None

    def arguments(self) -> dict[str, Any]:
        """What has come, with lists in the place of what has numbers for names."""
        return {str(name): _plain(value) for name, value in self._root.items()}


class _Pieces(list[str]):
    """A text in the making."""


def _steps(path: str) -> list[str | int]:
    """`$.a[0]['b']` as its names and numbers."""
    return [
        int(match[2]) if match[2] is not None else next(text for text in match.groups() if text is not None)
        for match in _STEP.finditer(path)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, _Pieces):
        return "".join(value)
    if not isinstance(value, dict):
        return value
    if value and all(isinstance(name, int) for name in value) and max(value) < _MOST_ITEMS:
        return [_plain(value.get(place)) for place in range(max(value) + 1)]
    return {str(name): _plain(item) for name, item in value.items()}
