"""How a scenario is written down: one function, its id, and the broken build that it must find out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.catalogue import CATALOGUE
from chaos.rig import Rig

Run = Callable[[Rig], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    id: str
    run: Run
    sabotage: str
    """A name in `chaos.sabotage.breakages`: with it the scenario has to fail."""
    patience_s: float
    """Longer than this it hangs."""


SCENARIOS: dict[str, Scenario] = {}
"""By id; filled by importing the modules of `chaos.scenarios`."""


def scenario(id: str, *, sabotage: str, patience_s: float = 120.0) -> Callable[[Run], Run]:  # noqa: A002
    """Enter a function into the catalogue under its id."""
    assert id in {entry.id for entry in CATALOGUE}, f"{id} is not in the catalogue"
    assert id not in SCENARIOS, f"{id} is there twice"

    def enter(run: Run) -> Run:
        SCENARIOS[id] = Scenario(id, run, sabotage, patience_s)
        return run

    return enter
