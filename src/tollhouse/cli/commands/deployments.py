"""`tollhouse deployments`: how the deployments of a running house are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from tollhouse.balancing import StandingView, State
from tollhouse.bootstrap import deployments_of_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import document, table
from tollhouse.cli.settings import find_settings

_COLUMNS: Final = (
    "deployment", "state", "in flight", "limit", "waiting", "first token", "calls", "failures", "limited", "ejections",
    "checked",
)  # fmt: skip
_WORST_FIRST: Final = (State.OPEN, State.HALF_OPEN, State.CLOSED)


class _Answer(msgspec.Struct):
    deployments: list[StandingView]


def deployments(*, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Breakers, load and latency of every deployment of the running house.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"deployments": […]}, the same as GET /admin/v1/deployments.
    """
    settings = find_settings(config)
    answer = deployments_of_house(settings.config, settings.environment)
    if answer is None:
        raise CommandFailed(
            ExitStatus.ENVIRONMENT,
            f"No house of {settings.config} is running.",
            "Start it with `tollhouse serve`.",
        )
    if json:
        document(msgspec.Raw(answer))
        return ExitStatus.DONE
    views = msgspec.json.decode(answer, type=_Answer).deployments
    rows = [_row(view) for view in sorted(views, key=lambda view: (view.provider, view.model))]
    table(f"{len(rows)} deployments", _COLUMNS, rows, numbers=frozenset(_COLUMNS[2:-1]))
    return ExitStatus.DONE


def _row(view: StandingView) -> tuple[str, ...]:
    name = f"{view.provider}/{view.model}"
    return (
        name if view.dialect is None else f"{name} ({view.dialect})",
        _state(view),
        str(view.in_flight),
        str(view.limit),
        str(view.waiting),
        f"{view.latency_s:.3f} s" if view.latency_s is not None else "unknown",
        f"{view.calls:,}",
        f"{view.failures:,}",
        f"{view.limited:,}",
        f"{view.ejections:,}",
        _checked(view),
    )


def _state(view: StandingView) -> str:
    """The worst of its breakers, and for how long it is left alone."""
    states = {kind.state: kind.until_s for kind in view.kinds}
    worst = next((state for state in _WORST_FIRST if state in states), State.CLOSED)
    if view.cooling_s > 0:
        return f"rate limited for {view.cooling_s:.0f} s"
    return f"open for {states[worst]:.1f} s" if worst is State.OPEN else worst.value.replace("_", " ")


def _checked(view: StandingView) -> str:
    """What the last active check found, and how long ago."""
    if view.checked is None or view.checked_before_s is None:
        return "never"
    return f"{view.checked.value}, {view.checked_before_s:.0f} s ago"
