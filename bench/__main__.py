"""`python -m bench`: measure, print the table, write what was found."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import chart, report, summary
from .gateways import GATEWAYS
from .measure import measure, steps
from .nginx import find
from .problems import BenchImpossible
from .processes import split_cores
from .records import DEFAULT, QUICK, Results
from .scenarios import Place

_OUT: Final = Path(__file__).resolve().parent / "out"
_FILES_PER_STREAM: Final = 2


def main(arguments: Sequence[str]) -> int:
    """0 where all was measured; 1 where a run is void, a threshold is missed or nothing can be measured."""
    options = _options(arguments)
    console = Console()
    signal.signal(signal.SIGTERM, _leave)
    # A shell that starts it in the background has it ignore this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        results = _read(options.results) if options.results else _measure(options, console)
    except BenchImpossible as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; everything it had started is stopped, too", file=sys.stderr)
        return 130
    console.print(report.terminal(results))
    _write(results, options)
    return _verdict(results, is_checked=options.check)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    names = [gateway.name for gateway in GATEWAYS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it works, no more")
    parser.add_argument("--rounds", type=int, help="how many rounds (default 3)")
    parser.add_argument(
        "--only", action="append", choices=names, help="this gateway; may be given several times"
    )
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="of the order")
    parser.add_argument(
        "--check", action="store_true", help="exit 1 where Tollhouse is slower than it may be"
    )
    parser.add_argument("--out", type=Path, default=_OUT, help="folder for results.json and chart.svg")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a page, and its chart beside it")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="measure nothing; report a results.json from before"
    )
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def _measure(options: argparse.Namespace, console: Console) -> Results:
    for program in ("nginx", "wrk"):
        find(program)
    effort = QUICK if options.quick else DEFAULT
    if options.rounds:
        effort = msgspec.structs.replace(effort, rounds=options.rounds)
    wanted = [gateway for gateway in GATEWAYS if not options.only or gateway.name in options.only]
    missing = {gateway.name: gateway.missing for gateway in wanted if gateway.missing}
    present = [gateway for gateway in wanted if not gateway.missing]
    if not present:
        raise BenchImpossible("None of the gateways asked for is installed.", hint="make bench-peers")
    cores = split_cores(os.sched_getaffinity(0))
    _raise_file_limit(effort.idle_steps[-1])
    os.sched_setaffinity(0, cores.others)
    with (
        tempfile.TemporaryDirectory(prefix="tollhouse-bench-") as folder,
        _progress(console) as progress,
    ):
        task = progress.add_task("measuring", total=steps(len(present), effort.rounds))

        def tell(line: str) -> None:
            progress.console.print(line, markup=False, highlight=False)
            progress.advance(task)

        place = Place(cores=cores, effort=effort, folder=Path(folder))
        return measure(present, missing=missing, place=place, seed=options.seed, tell=tell)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _raise_file_limit(streams: int) -> None:
    """Let this process and those it starts hold the idle streams: a gateway needs two sockets for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = streams * _FILES_PER_STREAM + 512
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchImpossible(
            f"A process may open {hard} files here, {needed} are needed.", hint=f"ulimit -Hn {needed}"
        )
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _read(file: Path) -> Results:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError) as reason:
        raise BenchImpossible(f"{file} cannot be read: {reason}") from reason


def _write(results: Results, options: argparse.Namespace) -> None:
    picture = chart.svg(summary.rows(results))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    (options.out / "chart.svg").write_text(picture)
    print(f"wrote {options.out / 'results.json'} and chart.svg")
    if options.markdown:
        beside = options.markdown.with_suffix(".svg")
        beside.write_text(picture)
        options.markdown.write_text(report.markdown(results, beside.name))
        print(f"wrote {options.markdown} and {beside.name}")


def _verdict(results: Results, *, is_checked: bool) -> int:
    short = summary.shortfalls(results) if is_checked else ()
    for line in short:
        print(f"bench: too slow: {line}", file=sys.stderr)
    if summary.is_void(results):
        print("bench: a run is void, see the notes", file=sys.stderr)
    return 1 if short or summary.is_void(results) else 0


def _leave(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM ends like Ctrl-C, so that what was started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
