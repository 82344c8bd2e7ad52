"""`make chaos`: run the catalogue, print and write its table. Exit status 1 if anything failed.

python -m chaos [--only U03,U08] [--broken]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from pathlib import Path

import uvloop
from rich.console import Console

from chaos import scenarios
from chaos.catalogue import CATALOGUE, Entry
from chaos.rig import Rig, SabotageMissing
from chaos.scenario import SCENARIOS, Scenario
from chaos.seen import Figure, Seen
from chaos.table import Line, Verdict, is_good, show, write

_BROKEN_SCALE = 0.1
_PLAIN_WIDTH = 200
_ROOT = Path(__file__).resolve().parents[2]
_OUT = _ROOT / "bench" / "out"


def main() -> int:
    arguments = _arguments()
    scenarios.enter_all()
    wanted = {name.strip().upper() for name in arguments.only.split(",") if name.strip()}
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    if unknown := wanted - {entry.id for entry in CATALOGUE}:
        console.print(f"No such scenario: {', '.join(sorted(unknown))}")
        return 2
    started = time.monotonic()
    lines = []
    for entry in CATALOGUE:
        if wanted and entry.id not in wanted:
            continue
        found = SCENARIOS.get(entry.id)
        if arguments.broken and found is None:
            continue
        console.print(f"[bold]{entry.id}[/] {entry.title} …", end=" ", highlight=False)
        line = _line(entry, found, is_broken=arguments.broken)
        console.print(f"{line.verdict.value} ({line.took_s:.0f} s)", highlight=False)
        lines.append(line)
    name = "chaos-broken" if arguments.broken else "chaos"
    show(console, lines, is_broken=arguments.broken)
    write(_OUT / name, lines, is_broken=arguments.broken)
    console.print(f"{time.monotonic() - started:.0f} s; written to {_OUT / name}.md and .json")
    return 0 if is_good(lines) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--only", default="", help="ids, separated by commas")
    parser.add_argument(
        "--broken", action="store_true", help="against the broken build of each: all must fail"
    )
    return parser.parse_args()


def _line(entry: Entry, found: Scenario | None, *, is_broken: bool) -> Line:
    """Run one scenario, if there is one, and judge it."""
    if found is None:
        verdict = Verdict.REASONED_AWAY if entry.reasoned_away else Verdict.MISSING
        return Line(entry, [], verdict)
    started = time.monotonic()
    sabotage = found.sabotage if is_broken else None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            seen = runner.run(_run(found, sabotage))
        figures, has_failed = seen.figures, bool(seen.failures)
    except SabotageMissing as error:
        return Line(entry, [Figure("no sabotage", str(error))], Verdict.UNBROKEN, sabotage=found.sabotage)
    took_s = time.monotonic() - started
    if is_broken:
        figures = [figure for figure in figures if not figure.is_met]
        verdict = Verdict.CAUGHT if has_failed else Verdict.OVERLOOKED
        return Line(entry, figures, verdict, took_s, found.sabotage)
    return Line(entry, figures, Verdict.FAILED if has_failed else Verdict.PASSED, took_s)


async def _run(scenario: Scenario, sabotage: str | None) -> Seen:
    """A scenario that breaks off has failed; what it saw until then is kept."""
    with tempfile.TemporaryDirectory(prefix=f"chaos-{scenario.id}-") as folder:
        rig = Rig(Path(folder), sabotage=sabotage, scale=_BROKEN_SCALE if sabotage else 1.0)
        try:
            async with asyncio.timeout(scenario.patience_s):
                await scenario.run(rig)
                await rig.settle()
        except SabotageMissing:
            raise
        except Exception as error:
            _OUT.mkdir(parents=True, exist_ok=True)
            trace = traceback.format_exc()
            (_OUT / f"chaos-{scenario.id}.txt").write_text(trace)
            told = "it hangs" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            rig.seen.exactly("broke off", " ".join(told.split())[:300], "nothing")
        finally:
            await rig.close()
    return rig.seen


if __name__ == "__main__":
    sys.exit(main())
