"""Where problems are gathered while a file is read: all of them, up to a bound, in words that leak nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from tollhouse.core.problem import ConfigProblem, Severity

Parts = tuple[str | int, ...]
"""A place in the tree: keys, and positions in lists."""

MOST_PROBLEMS: Final = 100
_PLAIN: Final = re.compile(r"[!#-&(-Z^-z|~…]{1,200}")
"""Visible ASCII without quotes, brackets, braces and backslash: needs no quoting in a path;
and the sign of what was left out."""


_GLUED: Final = "credential:"
"""A key that begins so is a credential whose colon lacks its space: what follows may be the secret."""


def path_of(parts: Parts) -> str:
    """The dotted path of a place, such as `routes.gpt-4o.deployments[0].weight`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + _segment(part)
    return text


def _segment(key: str) -> str:
    if key.startswith(_GLUED):
        return _GLUED + "…"
    return key if _PLAIN.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """A text as it may be shown: in quotes, without control characters, not endless."""
    return json.dumps(text if len(text) <= 60 else text[:60] + "…", ensure_ascii=False)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: what the name may have been meant for."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known: {', '.join(names[:12])}." if names else "None is known."


def bounded(problems: Sequence[ConfigProblem]) -> tuple[ConfigProblem, ...]:
    """The first hundred, errors before warnings, and how many there are besides."""
    found = sorted(problems, key=lambda problem: problem.severity is Severity.WARNING)
    kept, left_out = found[:MOST_PROBLEMS], found[MOST_PROBLEMS:]
    if not left_out:
        return tuple(kept)
    message = f"{len(left_out)} more problems are not shown."
    return (*kept, ConfigProblem(path="", message=message, severity=left_out[0].severity))


class Findings:
    """The problems found so far. Keeps the first hundred and counts the rest."""

    def __init__(self) -> None:
        self._problems: list[ConfigProblem] = []
        self._left_out = 0

    def add(self, parts: Parts, line: int, message: str, hint: str = "") -> None:
        """One more error, at a 1-based line."""
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(ConfigProblem(path=path_of(parts), message=message, hint=hint, line=line))
        else:
            self._left_out += 1

    def problems(self) -> tuple[ConfigProblem, ...]:
        """In the order of the file."""
        found = sorted(self._problems, key=lambda problem: problem.line or 0)
        if self._left_out:
            found.append(ConfigProblem(path="", message=f"{self._left_out} more problems are not shown."))
        return tuple(found)
