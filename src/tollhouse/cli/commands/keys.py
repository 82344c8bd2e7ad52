"""`tollhouse keys`: make, list and revoke virtual keys. They count at once, also in a house that is running."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from tollhouse.bootstrap import open_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import complain, document, instant, line, table
from tollhouse.cli.settings import find_settings
from tollhouse.core.identity import VirtualKey

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class _Created(msgspec.Struct):
    id: str
    key: str


def create_key(
    *,
    name: str,
    route: Annotated[list[str] | None, Parameter(negative="")] = None,
    team: str | None = None,
    expires: str | None = None,
    config: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Make a virtual key. Its text is shown now and never again.

    Parameters
    ----------
    name
        What people call it; need not be unique.
    route
        A route the key may use, or a glob such as `gpt-*`; may be given several times. Without any, it may use none.
    team
        A label the books can be read by.
    expires
        After how long it stops: a number with m, h, d or w, such as 30d. Never, if not given.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"id", "key"} and nothing else.
    """
    settings = find_settings(config)
    name, expires_s = _checked(name), _seconds(expires) if expires is not None else None
    with open_house(settings.config, settings.environment) as house:
        key, text = house.create_key(name=name, routes=route or (), team=team, expires_s=expires_s)
        is_taken_over = house.refresh()
        try:
            _show(key, text, as_json=json)
        except OSError as error:
            house.store.revoke_key(key.id, time.time())
            house.refresh()
            raise CommandFailed(
                ExitStatus.ENVIRONMENT,
                f"The key could not be shown ({error}), so it was revoked again.",
                "Try again.",
            ) from error
    return _confirmed(is_taken_over)


def _show(key: VirtualKey, text: str, *, as_json: bool) -> None:
    if as_json:
        document(_Created(id=key.id, key=text))
        return
    line(f"id   {key.id}")
    line(f"key  {text}")
    line("Keep the key now: it is shown once, and only its digest is stored.")
    if not key.routes:
        complain("note: without --route this key may use no route at all")


def _confirmed(is_taken_over: bool | None) -> ExitStatus:  # noqa: FBT001 - three answers of one question
    """What a change counts for when the running house has, or has not, said that it took it over."""
    if is_taken_over is False:
        complain("tollhouse: the change is in the store, but the running house has not confirmed it.")
        complain("    It takes it over as soon as it can; look at its log, or restart it.")
        return ExitStatus.ENVIRONMENT
    return ExitStatus.DONE


def list_keys(*, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """All virtual keys of the store, and those declared in the configuration. Never their text.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    settings = find_settings(config)
    now = time.time()
    with open_house(settings.config, settings.environment) as house:
        keys = [*house.snapshot.declared_keys, *house.store.keys()[1]]
    if json:
        document([_shown(key, now) for key in keys])
        return ExitStatus.DONE
    columns = ("id", "name", "team", "routes", "hint", "created", "expires", "state")
    rows = [
        (
            key.id,
            key.name,
            key.team or "",
            " ".join(key.routes),
            key.hint,
            instant(key.created_at)[:16] if key.created_at else "declared",
            instant(key.expires_at)[:16],
            _state(key, now),
        )
        for key in keys
    ]
    table(f"{len(rows)} keys", columns, rows, numbers=frozenset())
    return ExitStatus.DONE


def revoke_key(id: str, /, *, config: Path | None = None) -> int:  # noqa: A002 - the argument's public name
    """Revoke a key for good. From when the command returns, no new call is let in with it.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    settings = find_settings(config)
    with open_house(settings.config, settings.environment) as house:
        if any(key.id == id for key in house.snapshot.declared_keys):
            raise CommandFailed(
                ExitStatus.WRONG,
                f"{id} is declared in the configuration.",
                "Take it out of `keys` there and run `tollhouse reload`.",
            )
        key = house.store.revoke_key(id, time.time())
        if key is None:
            raise CommandFailed(
                ExitStatus.WRONG, f"There is no key {id!r}.", "`tollhouse keys list` shows them."
            )
        is_taken_over = house.refresh()
    line(f"revoked {key.id} ({key.name}) at {instant(key.revoked_at)}")
    return _confirmed(is_taken_over)


def _checked(name: str) -> str:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise CommandFailed(ExitStatus.USAGE, "A key's name is 1 to 100 printable letters.")
    return name


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if match is None or int(match[1]) == 0:
        raise CommandFailed(ExitStatus.USAGE, f"{text!r} is not a duration.", "Write 45m, 12h, 30d or 8w.")
    return int(match[1]) * _UNITS[match[2]]


def _state(key: VirtualKey, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _shown(key: VirtualKey, now: float) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "team": key.team,
        "routes": list(key.routes),
        "hint": key.hint,
        "created_at": instant(key.created_at) or None,
        "expires_at": instant(key.expires_at) or None,
        "revoked_at": instant(key.revoked_at) or None,
        "state": _state(key, now),
    }
