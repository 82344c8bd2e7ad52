"""`tollhouse pause`: the kill switch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document, line, table
from tollhouse.core.authority import Action
from tollhouse.core.pauses import PauseKind

_Json = Annotated[bool, Parameter(negative="")]


def start_pause(
    kind: PauseKind, target: str, /, *, reason: str, config: Path | None = None, json: _Json = False
) -> int:
    """Stop everything that goes through something, until it is resumed.

    Parameters
    ----------
    kind
        provider, deployment, route, key or team.
    target
        Its name; the id of a key.
    reason
        Why. Callers are told.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the pause as a JSON object.
    """
    body = {"kind": kind.value, "target": target, "reason": reason}
    with administering(config) as clerk:
        pause = clerk.ask(Action.PAUSES_CREATE, body=body)
        status = clerk.confirm()
    if json:
        document(pause)
    else:
        line(f"paused {kind.value} {target}; `tollhouse pause end {pause['id']}` resumes it")
    return status


def end_pause(id: str, /, *, config: Path | None = None) -> int:  # noqa: A002 - the argument's public name
    """Let it go on.

    Parameters
    ----------
    id
        The pause's id, as `pause list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        pause = clerk.ask(Action.PAUSES_RESUME, id)
        status = clerk.confirm()
    line(f"resumed {pause['kind']} {pause['target']}")
    return status


def list_pauses(*, config: Path | None = None, json: _Json = False) -> int:
    """Everything that is paused.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    with administering(config) as clerk:
        pauses = list(clerk.all(Action.PAUSES_LIST))
    if json:
        document(pauses)
        return ExitStatus.DONE
    rows = [(one["id"], one["kind"], one["target"], one["reason"], one["by"], one["at"]) for one in pauses]
    table(
        f"{len(rows)} pauses",
        ("id", "kind", "target", "reason", "by", "since"),
        rows,
        numbers=frozenset(),
    )
    return ExitStatus.DONE
