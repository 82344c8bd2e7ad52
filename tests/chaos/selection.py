"""What choosing among many deployments costs: measured by itself, because a call through a house costs more than that.

`python -m chaos.selection CONFIG` makes plans for the routes of a configuration, as the house does, and writes the
microseconds of each. One plan is made with everybody well, one with every other deployment shut.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from timeit import timeit
from typing import Final

import msgspec

from tollhouse.balancing import Permit, Standings, Verdict
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Route
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import ClientCall
from tollhouse.stages.route import Router

_NOW: Final = 1_000.0
_TURNS: Final = 50
_REPEATS: Final = 200
"""Short turns and many of them: the best one is one in which nobody else used the machine."""
_LONGEST_S: Final = 1.0
_CALLER: Final = Principal(key_id="key", key_name="key", team=None, routes=("*",))


class Bench:
    """Plans for one route after the other."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.standings = Standings()
        self.standings.configure({}, {name: route.deployments for name, route in snapshot.routes.items()})
        self._router = Router(snapshot, self.standings)
        self._draw = random.Random(1).random
        self._sessions = itertools.count()

    def plan(self, name: str) -> None:
        call = ClientCall(
            operation=Operation.CHAT, model=name, is_stream=False, asks_usage=True, body=b"{}", spans={}
        )
        self._router.plan(
            _CALLER,
            call,
            "openai_chat",
            has_tools=False,
            offers=lambda deployment: True,
            headers={b"x-session-id": b"%d" % next(self._sessions)},
            accepted=_NOW,
            now=_NOW,
            draw=self._draw,
        )

    def choose(self, route: Route) -> None:
        """The choice alone, without what makes it a plan."""
        choice = self._router.choice(
            route, (route.name, Operation.CHAT, "openai_chat", False), lambda deployment: True
        )
        assert choice is not None
        choice.order(
            standing=lambda deployment: self._router.standing(deployment, deployment.model),
            kind=Operation.CHAT,
            now=_NOW,
            draw=self._draw,
            session=b"%d" % next(self._sessions),
        )

    def warm_up(self, route: Route) -> None:
        """Something is known of each: how fast it answers, and of every third that it is busy."""
        for number, deployment in enumerate(route.deployments):
            standing = self.standings.of(deployment, deployment.model)
            permit = standing.try_begin(Operation.CHAT, _NOW)
            if isinstance(permit, Permit):
                permit.heard(_NOW + 0.1 + number % 7 / 100)
                if number % 3:
                    permit.end(Verdict.GOOD, _NOW + 1)

    def shut_every_other(self, route: Route) -> None:
        for deployment in route.deployments[::2]:
            standing = self.standings.of(deployment, deployment.model)
            while isinstance(permit := standing.try_begin(Operation.CHAT, _NOW), Permit):
                permit.end(Verdict.BAD, _NOW)


def _microseconds(turn: Callable[[], None]) -> float:
    turn()  # what is made once
    best_s, end = float("inf"), time.process_time() + _LONGEST_S
    for _ in range(_REPEATS):
        best_s = min(best_s, timeit(turn, timer=time.process_time, number=_TURNS))
        if time.process_time() > end:
            break
    return 1e6 * best_s / _TURNS


def measure(config: str) -> dict[str, dict[str, float]]:
    """By what is measured and by route."""
    snapshot = compile_config(load(config), load_plugins([]).providers)
    bench, found = Bench(snapshot), {}
    routes = {name: route for name, route in snapshot.routes.items() if len(route.deployments) > 1}
    for route in routes.values():
        bench.warm_up(route)
    for state in ("well", "half shut"):
        choices = {
            name: _microseconds(lambda route=route: bench.choose(route))  # type: ignore[misc]
            for name, route in routes.items()
        }
        plans = {
            name: _microseconds(lambda name=name: bench.plan(name))  # type: ignore[misc]
            for name in routes
        }
        found |= {f"choice, {state}": choices, f"plan, {state}": plans}
        for route in routes.values():
            bench.shut_every_other(route)
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure(Path(sys.argv[1]).read_text())))
