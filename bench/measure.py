"""The rounds: every gateway once in each, in an order drawn anew, each time in fresh processes."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from . import scenarios
from .gateways import Gateway
from .machine import describe
from .nginx import static_upstream
from .problems import BenchImpossible, RunVoid
from .processes import Launch, free_port, run, wait_for_port
from .records import Load, Results, Run, StreamRun, UnaryRun
from .scenarios import Place

T = TypeVar("T")
Tell = Callable[[str], None]
"""Called with one line when a step has ended."""

_ROOT: Final = Path(__file__).resolve().parent.parent
STEPS_PER_GATEWAY: Final = 2


def steps(gateways: int, rounds: int) -> int:
    """How often a whole run tells of a step."""
    return rounds * (1 + gateways * STEPS_PER_GATEWAY)


def measure(
    gateways: Sequence[Gateway], *, missing: dict[str, str], place: Place, seed: int, tell: Tell
) -> Results:
    """All rounds. A gateway's void run is told, kept and does not end the others. Raises BenchImpossible."""
    chance = random.Random(seed)
    machine = describe(gateways, place.cores)
    direct: list[Load] = []
    runs: list[Run] = []
    with _upstreams(place) as (static, streaming):
        for number in range(1, place.effort.rounds + 1):
            direct.append(_calibrate(static, place))
            tell(f"round {number}: generator to upstream {direct[-1].per_s:,.0f} requests/s")
            runs += [
                _run(gateway, number=number, static=static, streaming=streaming, place=place, tell=tell)
                for gateway in chance.sample(gateways, len(gateways))
            ]
    return Results(
        machine=machine,
        effort=place.effort,
        seed=seed,
        direct=tuple(direct),
        runs=tuple(runs),
        missing=missing,
    )


@contextlib.contextmanager
def _upstreams(place: Place) -> Iterator[tuple[int, int]]:
    """The ports of the upstream that answers at once and of the one that streams."""
    static, streaming = free_port(), free_port()
    sse = Launch(
        command=(sys.executable, "-m", "bench.sse_upstream", str(streaming)),
        environment={"PYTHONPATH": str(_ROOT)},
    )
    try:
        with (
            run(static_upstream(static), folder=place.folder / "static", cores=place.cores.others) as one,
            run(sse, folder=place.folder / "sse", cores=place.cores.others) as two,
        ):
            wait_for_port(one, static)
            wait_for_port(two, streaming)
            yield static, streaming
    except RunVoid as reason:
        raise BenchImpossible(f"An upstream did not start: {reason}") from reason


def _calibrate(upstream: int, place: Place) -> Load:
    try:
        return scenarios.direct_load(upstream, place)
    except RunVoid as reason:
        raise BenchImpossible(f"The generator cannot even load the upstream directly: {reason}") from reason


def _run(gateway: Gateway, *, number: int, static: int, streaming: int, place: Place, tell: Tell) -> Run:
    title = f"round {number}: {gateway.name}"
    folder = place.folder / f"{number}-{gateway.name}"
    unary, void_unary = _attempt(
        lambda: scenarios.unary(gateway, upstream=static, place=place, folder=folder / "unary")
    )
    tell(f"{title}: {_unary_line(unary) if unary else f'VOID: {void_unary}'}")
    stream, void_stream = _attempt(
        lambda: scenarios.stream(gateway, upstream=streaming, place=place, folder=folder / "stream")
    )
    tell(f"{title}: {_stream_line(stream) if stream else f'VOID: {void_stream}'}")
    return Run(
        round=number,
        gateway=gateway.name,
        unary=unary,
        stream=stream,
        void="; ".join(reason for reason in (void_unary, void_stream) if reason) or None,
    )


def _attempt(act: Callable[[], T]) -> tuple[T | None, str | None]:
    try:
        return act(), None
    except (RunVoid, OSError) as reason:
        return None, str(reason) or type(reason).__name__


def _unary_line(run: UnaryRun) -> str:
    return (
        f"{run.load.requests / run.cpu.total_s:,.0f} requests/s per core ({run.load.per_s:,.0f} by the clock), "
        f"+{run.latency.added_p50_ms:.2f} ms"
    )


def _stream_line(run: StreamRun) -> str:
    idle = run.idle.bytes_per_stream
    return f"{run.cpu.total_s / run.load.chunks * 1e6:.1f} µs CPU per chunk, " + (
        f"{idle / 1024:.1f} KiB per idle stream" if idle is not None else "not all idle streams opened"
    )
