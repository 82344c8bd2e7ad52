"""SELECT: many deployments behind one route."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from chaos.rig import Rig
from chaos.scenario import scenario
from tollhouse.core.routing import Strategy

_MANY = 1_000
_MOST_US = 20.0


@scenario("SELECT", sabotage="every_deployment_is_looked_at")
async def one_of_a_thousand(rig: Rig) -> None:
    """By every strategy, with everybody well and with every other one shut; the best of several turns, because others
    share the machine."""
    upstream = rig.upstream()
    deployments = [
        {"provider": "up", "model": f"mock-chat-{number}", "weight": 1 + number % 3}
        for number in range(_MANY)
    ]
    routes: dict[str, dict[str, Any]] = {
        strategy.value: {"deployments": deployments, "strategy": strategy.value} for strategy in Strategy
    }
    house = await rig.open_house({"up": upstream.base_url}, routes)
    answers = [await rig.client.ask(name) for name in routes for _ in range(20)]
    rig.seen.exactly("answered", sum(answer.is_ok for answer in answers), len(answers))

    measured = subprocess.run(
        [sys.executable, "-m", "chaos.selection", str(house.config)],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env=house.env,
    )
    for what, by_route in json.loads(measured.stdout).items():
        told = ", ".join(f"{name} {cost:.1f}" for name, cost in by_route.items())
        rig.seen.note(f"{what} µs", told)
        if what.startswith("choice"):  # what a plan adds is told, and is no selection
            rig.seen.at_most("most", max(by_route.values()), _MOST_US)
