"""`tollhouse secrets`: the encrypted store of credentials. Values come in by standard input and never out again."""

from __future__ import annotations

import re
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from tollhouse.bootstrap.stored_secrets import OpenSecrets, Progress, Rotation, open_secrets, shown_name
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import complain, document, instant, line, table
from tollhouse.cli.settings import find_settings
from tollhouse.ports.secrets import SecretUnavailable, StoredSecret

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_MOST_BYTES: Final = 128 * 1024


def set_secret(
    name: str,
    /,
    *,
    team: str = "",
    config: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Put a secret into the store, or a new value for it. The value is read from standard input.

    Parameters
    ----------
    name
        What references call it, as in `store:NAME`.
    team
        Whose it is; references then have it as `store:TEAM/NAME`.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print what `secrets show --json` prints.
    """
    settings = find_settings(config)
    _check(name, team)
    text = _read_value()
    with open_secrets(settings.config, settings.environment) as house:
        try:
            row = house.secrets.put(name, team, text)
        except SecretUnavailable as error:
            raise CommandFailed(ExitStatus.WRONG, str(error)) from None
        if json:
            document(_shown(row, house))
        else:
            line(f"stored store:{shown_name(row)}, version {row.version}, fingerprint {row.fingerprint}")
        return _confirmed(house.have_taken_over())


def list_secrets(*, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """All secrets in the store, never their values.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    settings = find_settings(config)
    with open_secrets(settings.config, settings.environment) as house:
        shown = [_shown(row, house) for row in house.secrets.all()]
    if json:
        document(shown)
        return ExitStatus.DONE
    columns = ("reference", "version", "fingerprint", "changed", "master key", "state")
    rows = [
        (
            each.reference,
            str(each.version),
            each.fingerprint,
            each.changed_at[:16],
            each.master_key,
            each.state,
        )
        for each in shown
    ]
    table(f"{len(rows)} secrets", columns, rows, numbers=frozenset(["version"]))
    return ExitStatus.DONE


def show_secret(
    name: str,
    /,
    *,
    team: str = "",
    config: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """What is known of a secret: its versions, its fingerprint, where the configuration uses it. Never its value.

    Parameters
    ----------
    name
        Its name.
    team
        Whose it is.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON object.
    """
    settings = find_settings(config)
    _check(name, team)
    with open_secrets(settings.config, settings.environment) as house:
        row = house.secrets.find(name, team)
        if row is None:
            raise _unknown(name, team)
        shown = _shown(row, house)
    if json:
        document(shown)
        return ExitStatus.DONE
    for field, value in msgspec.structs.asdict(shown).items():
        line(f"{field:12} {', '.join(value) if isinstance(value, tuple) else value}")
    return ExitStatus.DONE


def delete_secret(name: str, /, *, team: str = "", config: Path | None = None) -> int:
    """Take a secret out of the store for good. One that the configuration refers to is left there.

    Parameters
    ----------
    name
        Its name.
    team
        Whose it is.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    settings = find_settings(config)
    _check(name, team)
    with open_secrets(settings.config, settings.environment) as house:
        if places := house.places(name, team):
            raise CommandFailed(
                ExitStatus.WRONG,
                f"The configuration uses it at {', '.join(places)}.",
                "Take it out there and run `tollhouse reload` first.",
            )
        if not house.secrets.delete(name, team):
            raise _unknown(name, team)
    line(f"deleted store:{team}/{name}" if team else f"deleted store:{name}")
    return ExitStatus.DONE


def rotate_master(
    *, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Seal everything under a new master key, while the house serves. What was interrupted is gone on with.

    Where the master key lies in a file, a new one is made and put before the old one, unless secrets are still sealed
    under an older one: then those come first. Where it comes from TOLLHOUSE_MASTER_KEY, put the new one before the old
    one yourself (new:KEY,old:KEY), restart the house with both, and run this.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"key", "key_id", "rewrapped", "damaged", "still_needed", "not_needed"}.
    """
    settings = find_settings(config)
    with open_secrets(settings.config, settings.environment) as house:
        is_new = house.secrets.is_rotated
        if is_new and not house.add_master_key():
            raise CommandFailed(
                ExitStatus.WRONG,
                "Everything is sealed under the first key of TOLLHOUSE_MASTER_KEY already.",
                "Make one with `openssl rand -hex 32`, put it before it as in new:KEY,old:KEY, and restart the house.",
            )
    # Opened anew, with the new key in front.
    with open_secrets(settings.config, settings.environment) as house, _Bar(shows=not json) as progress:
        rotation = house.secrets.rotate(progress)
    if json:
        document(rotation)
    else:
        _tell(rotation)
    return ExitStatus.WRONG if rotation.damaged else ExitStatus.DONE


class _Shown(msgspec.Struct):
    reference: str
    team: str
    name: str
    version: int
    fingerprint: str
    created_at: str
    changed_at: str
    master_key: str
    state: str
    used_at: tuple[str, ...]


def _shown(row: StoredSecret, house: OpenSecrets) -> _Shown:
    fault = house.secrets.fault(row)
    return _Shown(
        reference=f"store:{shown_name(row)}",
        team=row.team,
        name=row.name,
        version=row.version,
        fingerprint=row.fingerprint,
        created_at=instant(row.created_at),
        changed_at=instant(row.changed_at),
        master_key=house.secrets.master_key_name(row),
        state="ok" if fault is None else f"does not open: {fault}",
        used_at=house.places(row.name, row.team),
    )


class _Bar:
    """A progress bar on standard error, where somebody sees it."""

    def __init__(self, *, shows: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - loaded only where it shows
        from rich.progress import MofNCompleteColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        console = Console(stderr=True)
        self._bars = Bars(
            *Bars.get_default_columns(),
            MofNCompleteColumn(),
            console=console,
            disable=not shows or not console.is_terminal,
        )
        self._task = self._bars.add_task("sealing anew", total=None)

    def __enter__(self) -> Progress:
        self._bars.start()
        return lambda done, total: self._bars.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def _tell(rotation: Rotation) -> None:
    line(f"{rotation.rewrapped} rows sealed anew under the master key {rotation.key}")
    for each in rotation.damaged:
        complain(f"tollhouse: not sealed anew: {each}")
    if rotation.still_needed:
        complain(f"tollhouse: still needed: {', '.join(rotation.still_needed)}")
    elif rotation.not_needed:
        line(f"no longer needed for this store: {', '.join(rotation.not_needed)}")
        line("Backups that were made before still need them.")


def _check(name: str, team: str) -> None:
    for what, text in (("secret's name", name), ("team's name", team or "none")):
        if _NAME.fullmatch(text) is None:
            raise CommandFailed(
                ExitStatus.USAGE, f"A {what} has letters, digits and . _ @ -, at most 64, and no other."
            )


def _read_value() -> str:
    """Typed unseen where a person sits there. Never an argument: those are seen by everybody on the machine."""
    if sys.stdin.isatty():
        return getpass("The secret (it is not shown): ")
    text = sys.stdin.read(_MOST_BYTES)
    if not text.strip():
        raise CommandFailed(
            ExitStatus.USAGE,
            "Nothing came in by standard input.",
            'printf %s "$KEY" | tollhouse secrets set NAME',
        )
    return text


def _confirmed(is_taken_over: bool | None) -> ExitStatus:  # noqa: FBT001 - three answers of one question
    if is_taken_over is False:
        complain("tollhouse: it is in the store, but the running house has not taken it over.")
        complain("    Its log says why; until then it goes on with the value before.")
        return ExitStatus.ENVIRONMENT
    return ExitStatus.DONE


def _unknown(name: str, team: str) -> CommandFailed:
    named = f"{team}/{name}" if team else name
    return CommandFailed(
        ExitStatus.WRONG, f"The store has no secret {named}.", "`tollhouse secrets list` shows them."
    )
