"""`tollhouse accounts`: service accounts, which are the machines among those who have keys and roles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.allowance_options import AllowanceOptions, budget_text, limits_text
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document, line, table
from tollhouse.core.authority import Action

_Json = Annotated[bool, Parameter(negative="")]
_NOTHING_SAID: Final = AllowanceOptions()


def create_account(
    *,
    name: str,
    team: str | None = None,
    options: AllowanceOptions = _NOTHING_SAID,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Make a service account. Keys are its own by `keys create --account ID`.

    Parameters
    ----------
    name
        What people call it.
    team
        Whose it is.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the account as a JSON object.
    """
    body: dict[str, object] = {"name": name, **options.body()}
    if team is not None:
        body["team"] = team
    with administering(config) as clerk:
        account = clerk.ask(Action.SERVICE_ACCOUNTS_CREATE, body=body)
        status = clerk.confirm()
    if json:
        document(account)
    else:
        line(f"made service account {account['id']} ({account['name']})")
    return status


def list_accounts(*, team: str | None = None, config: Path | None = None, json: _Json = False) -> int:
    """All service accounts, or those of one team.

    Parameters
    ----------
    team
        Whose.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    with administering(config) as clerk:
        filters = {"team": team} if team is not None else None
        accounts = list(clerk.all(Action.SERVICE_ACCOUNTS_LIST, filters))
    if json:
        document(accounts)
        return ExitStatus.DONE
    rows = [
        (
            one["id"],
            one["name"],
            one["team"] or "",
            budget_text(one["budget"]),
            limits_text(one["limits"]),
            "disabled" if one["disabled_at"] is not None else "active",
        )
        for one in accounts
    ]
    columns = ("id", "name", "team", "budget", "limits", "state")
    table(f"{len(rows)} service accounts", columns, rows, numbers=frozenset())
    return ExitStatus.DONE


def disable_account(id: str, /, *, config: Path | None = None) -> int:  # noqa: A002 - the argument's public name
    """Let a service account in nowhere any more, and disable its virtual keys: calls that go on with them are ended.

    Parameters
    ----------
    id
        The account's id, as `accounts list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        account = clerk.ask(Action.SERVICE_ACCOUNTS_DISABLE, id)
        status = clerk.confirm()
    line(f"disabled {account['id']} ({account['name']})")
    return status
