"""From raw runs to figures: medians with their ranges, ratios taken within a round, what to doubt, what falls short."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from .records import Results, Run

LIMIT: Final = "nginx"
OURS: Final = "tollhouse"
PYTHON_PEER: Final = "litellm"

MIN_OF_LIMIT: Final = 0.08
MIN_OF_PYTHON_PEER: Final = 50.0
CALIBRATION: Final = 1.2
"""How much faster the generator must be on its own than with the fastest gateway between."""
_BUSY_LOAD: Final = 0.5


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """The median of a few samples, and their range."""

    median: float
    low: float
    high: float
    samples: int


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One column: how it is read from a run. `read` gives nothing where the run did not measure it."""

    name: str
    title: str
    read: Callable[[Run], Iterable[float]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway. A figure that was not measured is not in `figures`."""

    gateway: str
    figures: dict[str, Figure]
    doubts: tuple[str, ...]


def per_core(run: Run) -> float | None:
    """Requests for one CPU second of all the gateway's processes."""
    if run.unary is None or run.unary.cpu.total_s <= 0:
        return None
    return run.unary.load.requests / run.unary.cpu.total_s


def _per_core(run: Run) -> Iterable[float]:
    value = per_core(run)
    return () if value is None else (value,)


def _cold_starts(run: Run) -> Iterable[float]:
    return (part.cold_start_s for part in (run.unary, run.stream) if part is not None)


def _idle(run: Run) -> Iterable[float]:
    each = run.stream.idle.bytes_per_stream if run.stream else None
    return () if each is None else (each / 1024,)


METRICS: Final = (
    Metric(name="per_core", title="requests/s per core", read=_per_core),
    Metric(
        name="per_s",
        title="requests/s by the clock",
        read=lambda run: (run.unary.load.per_s,) if run.unary else (),
    ),
    Metric(
        name="busy_percent",
        title="its core used meanwhile, %",
        read=lambda run: (run.unary.cpu.during_s / run.unary.load.wall_s * 100,) if run.unary else (),
    ),
    Metric(
        name="added_p50_ms",
        title="added p50, ms",
        read=lambda run: (run.unary.latency.added_p50_ms,) if run.unary else (),
    ),
    Metric(
        name="added_p99_ms",
        title="added p99, ms",
        read=lambda run: (run.unary.latency.added_p99_ms,) if run.unary else (),
    ),
    Metric(
        name="cpu_ms_per_1000",
        title="CPU ms per 1,000 requests",
        read=lambda run: (run.unary.cpu.total_s / run.unary.load.requests * 1e6,) if run.unary else (),
    ),
    Metric(
        name="cpu_us_per_chunk",
        title="CPU µs per chunk",
        read=lambda run: (run.stream.cpu.total_s / run.stream.load.chunks * 1e6,) if run.stream else (),
    ),
    Metric(
        name="memory_mib",
        title="memory at start, MiB",
        read=lambda run: (run.unary.memory_at_start.total_bytes / 2**20,) if run.unary else (),
    ),
    Metric(name="idle_kib", title="per idle stream, KiB", read=_idle),
    Metric(name="cold_start_s", title="cold start, s", read=_cold_starts),
)


def figure(samples: Sequence[float]) -> Figure | None:
    """None of none."""
    if not samples:
        return None
    return Figure(
        median=statistics.median(samples), low=min(samples), high=max(samples), samples=len(samples)
    )


def ratio(runs: Sequence[Run], above: str, below: str) -> Figure | None:
    """How many times `below` the gateway `above` does per core: taken in each round, then the median of those."""
    by_round = {(run.round, run.gateway): per_core(run) for run in runs}
    quotients = []
    for number in sorted({run.round for run in runs}):
        numerator, denominator = by_round.get((number, above)), by_round.get((number, below))
        if numerator is not None and denominator is not None:
            quotients.append(numerator / denominator)
    return figure(quotients)


def rows(results: Results) -> tuple[Row, ...]:
    """One row a gateway, the fastest per core first, those without a figure last."""
    names = dict.fromkeys(run.gateway for run in results.runs)
    made = [_row(results, name) for name in names]
    return tuple(
        sorted(made, key=lambda row: -row.figures["per_core"].median if "per_core" in row.figures else 1)
    )


def _row(results: Results, name: str) -> Row:
    runs = [run for run in results.runs if run.gateway == name]
    found = {metric.name: figure([value for run in runs for value in metric.read(run)]) for metric in METRICS}
    found["of_limit"] = ratio(results.runs, name, LIMIT)
    found["of_python_peer"] = ratio(results.runs, name, PYTHON_PEER)
    return Row(
        gateway=name,
        figures={key: value for key, value in found.items() if value is not None},
        doubts=tuple(doubt for run in runs for doubt in _doubts(run)),
    )


def _doubts(run: Run) -> Iterable[str]:
    title = f"{run.gateway}, round {run.round}"
    if run.void is not None:
        yield f"{title}: void: {run.void}"
    if any(part is not None and not part.cpu.is_quiet for part in (run.unary, run.stream)):
        yield f"{title}: still at work when patience ended, so its CPU figures are too good"
    if run.stream is not None and run.stream.idle.bytes_per_stream is None:
        opened, asked = run.stream.idle.opened[-1], run.stream.idle.asked[-1]
        yield f"{title}: {opened} of {asked} idle streams could be opened, so there is no figure for them"


def doubts(results: Results) -> tuple[str, ...]:
    """What a reader must know before believing the figures."""
    said = [f"{name}: not measured: {why}" for name, why in results.missing.items()]
    said += [doubt for row in rows(results) for doubt in row.doubts]
    bound = generator_bound(results)
    if bound:
        said.append(
            f"requests/s by the clock is bound by the load generator for {', '.join(bound)} "
            f"(alone it reaches less than {CALIBRATION:g} times their rate); requests/s per core stands"
        )
    load = results.machine.load_average
    if load > _BUSY_LOAD:
        said.append(
            f"the machine was busy with other work at the start (load average {load:.2f}): "
            "latency, cold start and rates by the clock are worth little"
        )
    return tuple(said)


def generator_bound(results: Results) -> tuple[str, ...]:
    """The gateways that in some round came too near to what the generator does without any."""
    bound = {}
    for run in results.runs:
        if run.unary and results.direct[run.round - 1].per_s < CALIBRATION * run.unary.load.per_s:
            bound[run.gateway] = True
    return tuple(bound)


def is_void(results: Results) -> bool:
    """Whether some run does not count."""
    return any(run.void is not None for run in results.runs)


def shortfalls(results: Results) -> tuple[str, ...]:
    """In what Tollhouse is slower than it may be. Not measured is a shortfall, too."""
    said = []
    of_limit = ratio(results.runs, OURS, LIMIT)
    if of_limit is None:
        said.append(f"{OURS} ÷ {LIMIT} was not measured")
    elif of_limit.median < MIN_OF_LIMIT:
        said.append(f"{OURS} ÷ {LIMIT} is {of_limit.median:.3f}, less than {MIN_OF_LIMIT:g}")
    of_peer = ratio(results.runs, OURS, PYTHON_PEER)
    if of_peer is None:
        if any(run.gateway == PYTHON_PEER for run in results.runs):
            said.append(f"{OURS} ÷ {PYTHON_PEER} was not measured")
    elif of_peer.median < MIN_OF_PYTHON_PEER:
        said.append(f"{OURS} ÷ {PYTHON_PEER} is {of_peer.median:.1f}, less than {MIN_OF_PYTHON_PEER:g}")
    return tuple(said)
