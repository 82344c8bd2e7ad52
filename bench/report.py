"""The figures for people: a table for the terminal, a page in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .gateways import GATEWAYS
from .records import Results
from .summary import METRICS, Figure, Row, doubts, rows

_UNKNOWN: Final = "–"
_TITLES: Final = {metric.name: metric.title for metric in METRICS}
_COLUMNS: Final = (
    ("per_core", _TITLES["per_core"]),
    ("of_limit", "÷ nginx"),
    ("of_python_peer", "× LiteLLM"),
    *((metric.name, metric.title) for metric in METRICS if metric.name != "per_core"),
)


def three_digits(value: float) -> str:
    """A number with three significant digits and no more, thousands set apart."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def spread(figure: Figure) -> str:
    """The range of a figure, or nothing where it has none to speak of."""
    low, high = three_digits(figure.low), three_digits(figure.high)
    return f"{low} to {high}" if low != high else ""


def terminal(results: Results) -> RenderableType:
    """The table, gateways across, with ranges under the medians; below it what to doubt."""
    table = Table(title=f"{_rounds(results)}; median, range below")
    found = rows(results)
    table.add_column("")
    for name in (*(row.gateway for row in found), *results.missing):
        table.add_column(name, justify="right")
    for name, title in _COLUMNS:
        cells = [_cell(row.figures.get(name)) for row in found]
        table.add_row(title, *cells, *(_cell(None) for _ in results.missing))
    return Group(table, *(Text(f"note: {doubt}", style="yellow") for doubt in doubts(results)))


def _cell(figure: Figure | None) -> Text:
    if figure is None:
        return Text(_UNKNOWN, style="dim")
    between = spread(figure)
    return Text.assemble(three_digits(figure.median), (f"\n{between}" if between else "", "dim"))


def markdown(results: Results, chart: str) -> str:
    """The page: the figures, the chart (its file name), what to doubt, and the machine."""
    return "\n".join(
        (
            "# Results",
            "",
            "Written by `make bench`; `README.md` says how it is measured. Median, in brackets the range.",
            "",
            f"![Requests/s per core of each gateway]({chart})",
            "",
            *_markdown_table(results),
            "",
            *_section("What each does with a request", _does(results)),
            *_section("What to doubt", doubts(results)),
            *_section("Machine", _machine(results)),
        )
    )


def _markdown_table(results: Results) -> Iterable[str]:
    found = rows(results)
    yield "| | " + " | ".join(row.gateway for row in found) + " |"
    yield "|---" + "|--:" * len(found) + "|"
    for name, title in _COLUMNS:
        yield f"| {title} | " + " | ".join(_markdown_cell(row, name) for row in found) + " |"


def _markdown_cell(row: Row, name: str) -> str:
    figure = row.figures.get(name)
    if figure is None:
        return _UNKNOWN
    median, between = three_digits(figure.median), spread(figure)
    return f"{median} ({between})" if between else median


def _section(title: str, lines: Iterable[str]) -> Iterable[str]:
    listed = [f"- {' '.join(line.split())}" for line in lines]
    return (f"## {title}", "", *listed, "") if listed else ()


def _does(results: Results) -> Iterable[str]:
    present = {run.gateway for run in results.runs}
    return (
        f"{gateway.name} {results.machine.versions.get(gateway.name, '')}: {gateway.does}"
        for gateway in GATEWAYS
        if gateway.name in present
    )


def _machine(results: Results) -> Iterable[str]:
    machine = results.machine
    yield f"{machine.date}, commit {machine.commit or 'unknown'}"
    yield (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, "
        f"Linux {machine.kernel}, load average before {machine.load_average:.2f}"
    )
    yield (
        f"gateway on core {_cores(machine.gateway_cores)}, load generator and upstream on {_cores(machine.other_cores)}"
    )
    libraries = {
        name: text for name, text in machine.versions.items() if name not in {g.name for g in GATEWAYS}
    }
    yield f"Python {machine.python}, " + ", ".join(f"{name} {text}" for name, text in libraries.items())
    direct = sorted(load.per_s for load in results.direct)
    yield f"generator to upstream without a gateway: {direct[0]:,.0f} to {direct[-1]:,.0f} requests/s"
    yield f"{_rounds(results)}, order drawn with seed {results.seed}"


def _cores(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _rounds(results: Results) -> str:
    count = results.effort.rounds
    return f"{count} round{'s' if count > 1 else ''}, {results.effort.connections} connections"
