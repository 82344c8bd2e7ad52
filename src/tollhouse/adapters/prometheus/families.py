"""Numbers with labels that somebody else keeps, read at each scrape.

There may be thousands, and a scrape stands on the serving loop: the client library, which checks and wraps every
sample, takes several times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """All values of one name."""

    name: str
    """Without the prefix, and without the ending of counters."""
    about: str
    """One line."""
    labels: tuple[str, ...]
    rows: Sequence[tuple[tuple[str, ...], float]]
    """The labels' values, each combination once, and what holds for them."""
    is_counter: bool = False
    """Whether values only grow."""


def lines(family: Family, prefix: str) -> Iterator[str]:
    """The family in the text format, version 0.0.4, line by line."""
    kind = "counter" if family.is_counter else "gauge"
    name = f"{prefix}{family.name}{'_total' if family.is_counter else ''}"
    yield f"# HELP {name} {family.about}\n# TYPE {name} {kind}\n"
    template = ",".join([f'{label}="%s"' for label in family.labels])
    for values, value in family.rows:
        labels = template % tuple([text.translate(_ESCAPES) for text in values])
        yield f"{name}{{{labels}}} {value!r}\n" if labels else f"{name} {value!r}\n"
