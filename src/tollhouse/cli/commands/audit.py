"""`tollhouse audit`: the log of every administrative write, and whether it is whole."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import complain, document, json_line, line, table
from tollhouse.core.authority import Action

_Json = Annotated[bool, Parameter(negative="")]
_MOST: Final = 100_000


def verify_audit(*, head: str | None = None, config: Path | None = None, json: _Json = False) -> int:
    """Read the whole log, and name every row that was altered, taken out, put elsewhere or cut off.

    Parameters
    ----------
    head
        What an earlier run printed as `head`, kept elsewhere: shows that the log was not put back to an earlier day.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"is_whole", "count", "seal", "faults"}.
    """
    query = {}
    if head is not None:
        count, colon, seal = head.partition(":")
        if not colon:
            raise CommandFailed(ExitStatus.USAGE, "A head is a number, a colon and a seal.", "Copy it whole.")
        query = {"count": count, "seal": seal}
    with administering(config) as clerk:
        verdict = clerk.ask(Action.AUDIT_VERIFY, query=query)
    if json:
        document(verdict)
    else:
        for fault in verdict["faults"]:
            subject = f"row {fault['number']}" if fault["number"] is not None else "the head"
            complain(f"{subject} {fault['what']}")
        line(f"{verdict['count']} rows, {'whole' if verdict['is_whole'] else 'NOT whole'}")
        line(f"head {verdict['count']}:{verdict['seal']}")
    return ExitStatus.DONE if verdict["is_whole"] else ExitStatus.WRONG


def list_audit(
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Who changed what, newest first.

    Parameters
    ----------
    limit
        How many at most.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        One JSON object per line.
    """
    if not 0 < limit <= _MOST:
        raise CommandFailed(ExitStatus.USAGE, f"--limit takes 1 to {_MOST}.")
    with administering(config) as clerk:
        rows = list(islice(clerk.all(Action.AUDIT_LIST), limit))
    if json:
        for row in rows:
            json_line(row)
        return ExitStatus.DONE
    cells = [
        (str(row["number"]), row["at"], row["actor_name"], row["action"], row["object"], row["peer"])
        for row in rows
    ]
    table(
        f"{len(rows)} rows",
        ("number", "at", "who", "action", "thing", "from"),
        cells,
        numbers=frozenset(["number"]),
    )
    return ExitStatus.DONE


def export_audit(*, config: Path | None = None) -> int:
    """The whole log as JSON, one object per line, newest first: seals, and what things were before and after.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        row: Any
        for row in clerk.all(Action.AUDIT_LIST):
            json_line(row)
    return ExitStatus.DONE
