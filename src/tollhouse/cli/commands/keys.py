"""`tollhouse keys`: make, show, change and stop virtual keys. Changes count at once, in a running house too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from msgspec.structs import replace

from tollhouse.bootstrap import KeyNotChanged, OpenHouse, open_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.key_options import KeyOptions, duration_s, key_name, without
from tollhouse.cli.key_views import lines_of, shown, state_of
from tollhouse.cli.output import complain, document, instant, line, printable, table
from tollhouse.cli.settings import find_settings
from tollhouse.core.identity import VirtualKey
from tollhouse.ports.store import StoreRefused

_Json = Annotated[bool, Parameter(negative="")]
_NOTHING_SAID: Final = KeyOptions()
_LABEL_WIDTH: Final = 26


class _Made(msgspec.Struct, omit_defaults=True):
    """The one document with a key's text in it."""

    id: str
    key: str
    former_text_until: str | None = None


def create_key(
    *, name: str, options: KeyOptions = _NOTHING_SAID, config: Path | None = None, json: _Json = False
) -> int:
    """Make a virtual key. Its text is shown now and never again.

    Parameters
    ----------
    name
        What people call it; need not be unique.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"id", "key"} and nothing else.
    """
    fields = options.changes(time.time())
    wanted = msgspec.structs.asdict(fields(VirtualKey(id="", name=key_name(name), digest="")))
    chosen = {
        field: value for field, value in wanted.items() if field not in ("id", "digest", "hint", "created_at")
    }
    with _house(config) as house:
        key, text = house.keys.make(chosen)
        is_taken_over = house.refresh()
        with _revoked_if_not_shown(house, key):
            _show_text(key, text, as_json=json)
            if not key.routes:
                complain("note: without --route this key may use no route at all")
    return confirmed(is_taken_over)


def list_keys(*, config: Path | None = None, json: _Json = False) -> int:
    """All virtual keys of the store, and those declared in the configuration. Never their text.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    now = time.time()
    with _house(config) as house:
        keys = house.keys.all()
    if json:
        document([shown(key, now) for key in keys])
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
            state_of(key, now),
        )
        for key in keys
    ]
    table(f"{len(rows)} keys", columns, rows, numbers=frozenset())
    return ExitStatus.DONE


def show_key(id: str, /, *, config: Path | None = None, json: _Json = False) -> int:  # noqa: A002 - its public name
    """Everything about one key but its text: scopes, limits, and what is spent of its budget.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON object.
    """
    with _house(config) as house:
        key = house.keys.find(id)
        if key.budget is not None:
            house.fold()
        spent = house.keys.spent_nanousd(key, time.time())
    _show(key, as_json=json, spent_nanousd=spent)
    return ExitStatus.DONE


def edit_key(
    id: str,  # noqa: A002 - the argument's public name
    /,
    *,
    name: str | None = None,
    options: KeyOptions = _NOTHING_SAID,
    without_: Annotated[list[str] | None, Parameter(name="--without", negative="")] = None,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Change what a key may do. What is not named stays as it is; lists are replaced as a whole.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    name
        What people call it.
    without_
        What to take away, such as budget, expires or requests-per-minute; may be given several times.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the key as a JSON object.
    """
    taken, given = without(without_ or ()), options.changes(time.time())
    fields = {"name": key_name(name)} if name is not None else {}
    return _changed(
        config, json, lambda house: house.keys.edit(id, lambda key: given(taken(replace(key, **fields))))
    )


def rotate_key(
    id: str,  # noqa: A002 - the argument's public name
    /,
    *,
    grace: str | None = None,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Give a key another text, shown now and never again. Everything else of it stays.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    grace
        How long the text before opens as well: a number with m, h, d or w, such as 24h. Not at all, if not given.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"id", "key"}, and until when the former text opens.
    """
    grace_s = duration_s(grace) if grace is not None else 0.0
    with _house(config) as house:
        before = house.keys.find(id)
        key, text = house.keys.rotate(id, grace_s)
        is_taken_over = house.refresh()
        try:
            _show_text(key, text, as_json=json)
        except OSError as error:
            house.keys.edit(id, lambda now: _with_text_of(now, before))
            house.refresh()
            raise CommandFailed(
                ExitStatus.ENVIRONMENT,
                f"The new text could not be shown ({error}), so the key has its former one again.",
                "Try again.",
            ) from error
    return confirmed(is_taken_over)


def _with_text_of(key: VirtualKey, before: VirtualKey) -> VirtualKey:
    return replace(
        key,
        digest=before.digest,
        scheme=before.scheme,
        hint=before.hint,
        former_digest=before.former_digest,
        former_until=before.former_until,
    )


def disable_key(id: str, /, *, config: Path | None = None, json: _Json = False) -> int:  # noqa: A002
    """Stop a key until it is enabled again. Calls that go on with it are ended.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the key as a JSON object.
    """
    return _changed(config, json, lambda house: house.keys.disable(id))


def enable_key(id: str, /, *, config: Path | None = None, json: _Json = False) -> int:  # noqa: A002
    """Let a key that was disabled open again.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the key as a JSON object.
    """
    return _changed(config, json, lambda house: house.keys.enable(id))


def revoke_key(id: str, /, *, config: Path | None = None, json: _Json = False) -> int:  # noqa: A002
    """Revoke a key for good. From when the command returns, no new call is let in with it; those that go on are ended.

    Parameters
    ----------
    id
        The key's id, as `keys list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the key as a JSON object.
    """
    return _changed(config, json, lambda house: house.keys.revoke(id))


# -- what they have in common


@contextmanager
def _house(config: Path | None) -> Iterator[OpenHouse]:
    settings = find_settings(config)
    with open_house(settings.config, settings.environment) as house:
        try:
            yield house
        except KeyNotChanged as error:
            raise CommandFailed(ExitStatus.WRONG, str(error), error.hint) from error
        except StoreRefused as error:
            raise CommandFailed(
                ExitStatus.ENVIRONMENT,
                f"The store does not take it ({error}), so nothing has been changed.",
                "Look at the database: without its row of the audit log nothing is changed.",
            ) from error


@contextmanager
def _revoked_if_not_shown(house: OpenHouse, key: VirtualKey) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        house.keys.revoke(key.id)
        house.refresh()
        raise CommandFailed(
            ExitStatus.ENVIRONMENT,
            f"The key could not be shown ({error}), so it was revoked again.",
            "Try again.",
        ) from error


def _changed(config: Path | None, as_json: bool, change: Callable[[OpenHouse], VirtualKey]) -> ExitStatus:  # noqa: FBT001
    """Change a key, have the running house take that over, and show what has become of it."""
    with _house(config) as house:
        key = change(house)
        is_taken_over = house.refresh()
    if as_json:
        document(shown(key, time.time()))
    else:
        line(f"{state_of(key, time.time())} {key.id} ({printable(key.name)})")
    return confirmed(is_taken_over)


def _show_text(key: VirtualKey, text: str, *, as_json: bool) -> None:
    if as_json:
        document(_Made(key.id, text, instant(key.former_until) or None))
        return
    line(f"id   {key.id}")
    line(f"key  {text}")
    line("Keep the key now: it is shown once, and only its digest is stored.")
    if key.former_until is not None:
        line(f"The text before opens until {instant(key.former_until)}.")


def _show(key: VirtualKey, *, as_json: bool, spent_nanousd: int | None) -> None:
    now = time.time()
    if as_json:
        document({**shown(key, now), "spent_nanousd": spent_nanousd})
        return
    for label, text in lines_of(key, now, spent_nanousd):
        if text:
            line(f"{printable(label):{_LABEL_WIDTH}}{printable(text)}")


def confirmed(is_taken_over: bool | None) -> ExitStatus:  # noqa: FBT001 - three answers of one question
    """What a change counts for when the running house has, or has not, said that it took it over."""
    if is_taken_over is False:
        complain("tollhouse: the change is in the store, but the running house has not confirmed it.")
        complain("    It takes it over as soon as it can; look at its log, or restart it.")
        return ExitStatus.ENVIRONMENT
    return ExitStatus.DONE
