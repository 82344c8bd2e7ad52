"""What all workers of a house tell of themselves, as one text that a scraper of metrics can read.

Each worker's numbers stay its own, under a label `worker` with the number of its seat: what counts up in one of them
begins again when that one is replaced, as a scraper expects of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

_HELP: Final = "# HELP "


def joined(texts: Mapping[int, bytes], seats: int) -> bytes:
    """Expositions by the number of the worker's seat, in the text format version 0.0.4, as one: each family once, with
    everybody's rows. Says besides how many there are, and how many of them have said nothing this time."""
    families: dict[str, list[str]] = {}
    for number, text in sorted(texts.items()):
        _add(families, f'worker="{number}"', text.decode())
    lines = [line for rows in families.values() for line in rows]
    lines += _of_the_house("workers", "Workers this gateway is to have.", seats)
    lines += _of_the_house(
        "workers_left_out", "Workers that did not say anything in time for this scrape.", seats - len(texts)
    )
    return "\n".join([*lines, ""]).encode()


def _add(families: dict[str, list[str]], label: str, text: str) -> None:
    """A worker's text, which has the head of each family directly before its rows."""
    rows: list[str] = []
    is_known = False
    for line in text.split("\n"):
        if line.startswith(_HELP):
            name = line.split(" ", 3)[2]
            is_known = name in families
            rows = families.setdefault(name, [])
        if line.startswith("#"):
            if not is_known:
                rows.append(line)
        elif line:
            rows.append(_labelled(line, label))


def _labelled(row: str, label: str) -> str:
    name, brace, labels = row.partition("{")
    if brace:
        return f"{name}{{{label},{labels}"
    name, _, value = row.partition(" ")
    return f"{name}{{{label}}} {value}"


def _of_the_house(name: str, about: str, value: int) -> Iterable[str]:
    name = f"tollhouse_{name}"
    return (f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {value}")
