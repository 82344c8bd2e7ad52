"""The table of a run: on the terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chaos.catalogue import MOST_REASONED_AWAY, Entry
from chaos.seen import Figure


class Verdict(Enum):
    PASSED = "passed"
    FAILED = "FAILED"
    MISSING = "MISSING"
    """It stands in the catalogue and nowhere else."""
    REASONED_AWAY = "reasoned away"
    CAUGHT = "caught"
    """The broken build failed, as it has to."""
    OVERLOOKED = "OVERLOOKED"
    """The broken build passed: the scenario proves nothing."""
    UNBROKEN = "NOT BROKEN"
    """The sabotage could not be applied."""


_GOOD = (Verdict.PASSED, Verdict.REASONED_AWAY, Verdict.CAUGHT)
_COLOURS = {Verdict.PASSED: "green", Verdict.CAUGHT: "green", Verdict.REASONED_AWAY: "yellow"}


@dataclass(frozen=True)
class Line:
    entry: Entry
    figures: list[Figure]
    verdict: Verdict
    took_s: float = 0.0
    sabotage: str = ""

    @property
    def seen(self) -> str:
        if self.verdict is Verdict.REASONED_AWAY:
            return self.entry.reasoned_away
        return "; ".join(map(str, self.figures))


def is_good(lines: list[Line]) -> bool:
    """Nothing failed, and not too much was reasoned away."""
    reasoned = sum(line.verdict is Verdict.REASONED_AWAY for line in lines)
    return all(line.verdict in _GOOD for line in lines) and reasoned <= MOST_REASONED_AWAY


def show(console: Console, lines: list[Line], *, is_broken: bool) -> None:
    table = Table(show_lines=True)
    second = "broken by" if is_broken else "expected"
    for heading in ("id", "scenario", second, "seen", "verdict"):
        table.add_column(heading, overflow="fold")
    for line in lines:
        colour = _COLOURS.get(line.verdict, "red")
        cells = _cells(line, is_broken=is_broken)
        table.add_row(*cells[:-1], f"[{colour}]{cells[-1]}[/]")
    console.print(table)
    console.print(_summary(lines), highlight=False)


def write(path: Path, lines: list[Line], *, is_broken: bool) -> None:
    """`path`.md and `path`.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    second = "broken by" if is_broken else "expected"
    rows = [f"| id | scenario | {second} | seen | verdict |", "|---|---|---|---|---|"]
    rows += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(line, is_broken=is_broken)) + " |"
        for line in lines
    ]
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    path.with_suffix(".md").write_text("\n".join([*rows, "", _summary(lines), "", machine, ""]))
    documents = [
        {
            "id": line.entry.id,
            "scenario": line.entry.title,
            "expected": line.entry.expected,
            "figures": [vars(figure) for figure in line.figures],
            "verdict": line.verdict.value,
            "took_s": round(line.took_s, 1),
            **({"sabotage": line.sabotage} if line.sabotage else {}),
        }
        for line in lines
    ]
    path.with_suffix(".json").write_text(
        json.dumps({"machine": machine, "lines": documents}, indent=1, ensure_ascii=False) + "\n"
    )


def _cells(line: Line, *, is_broken: bool) -> list[str]:
    second = line.sabotage if is_broken else line.entry.expected
    return [line.entry.id, line.entry.title, second, line.seen, line.verdict.value]


def _summary(lines: list[Line]) -> str:
    counts = {verdict: sum(line.verdict is verdict for line in lines) for verdict in Verdict}
    return ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
