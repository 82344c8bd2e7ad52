"""The keys of a SQLite store, and the rules of its house, read with the standard library alone.

Loading the database library takes half of a start. What a worker needs before it can serve is a few tables, so the
keeper reads them while the library is still being loaded; everything after it, changes to keys too, goes through the
store. Where this way does not lead to them, the store's does, a moment later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from tollhouse.core.identity import VirtualKey
from tollhouse.core.pauses import Pause
from tollhouse.core.people import MAIN_ORGANISATION, Account, Organisation, Project, Team
from tollhouse.ports.administration import HouseRules, rules_of

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")

_PATIENCE_S: Final = 0.5
_JSON: Final = ("routes", "limits", "budget", "doors", "networks", "hours", "tags", "metadata")
"""Columns that hold documents, null where they say nothing."""
_VERSION: Final = "version"
"""Of a key; its column is named `changed_version`."""
_PLAIN: Final = tuple([name for name in VirtualKey.__struct_fields__ if name not in (*_JSON, _VERSION)])
_NAMES: Final = (_VERSION, *_PLAIN)
_COLUMNS: Final = ("changed_version", *_PLAIN, *_JSON)


def _decoder(name: str, type_: Any) -> Callable[[str], Any]:
    """There may be very many keys, and what is alike in them is shared; but not a mapping, which can be changed."""
    decode = msgspec.json.Decoder(type_).decode
    return decode if name == "metadata" else lru_cache(maxsize=4096)(decode)


_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(VirtualKey)}
_DECODERS: Final = [(name, _decoder(name, _TYPES[name])) for name in _JSON]


def first_keys(path: Path) -> tuple[int, tuple[VirtualKey, ...]] | None:
    """The version of the keys and all of them; None where there is no such database yet, where its schema is not this
    version's, or where it is none of SQLite's."""
    return _read(path, _keys)


def first_rules(path: Path) -> HouseRules | None:
    """What workers have to know of the administration; None as above."""
    return _read(path, _rules)


def _read(path: Path, reading: Callable[[sqlite3.Connection], T]) -> T | None:
    if not path.is_file():
        return None
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_PATIENCE_S)
        ) as reader:
            reader.execute("BEGIN")
            return reading(reader)
    except (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError):
        return None


def _keys(reader: sqlite3.Connection) -> tuple[int, tuple[VirtualKey, ...]]:
    (version,) = reader.execute("SELECT version FROM keys_version").fetchone()
    rows = reader.execute(f"SELECT {', '.join(_COLUMNS)} FROM keys ORDER BY created_at, id")  # noqa: S608
    return int(version), tuple([_key(row) for row in rows])


def _rules(reader: sqlite3.Connection) -> HouseRules:
    version = reader.execute("SELECT version FROM rules_version").fetchone()
    organisations = _all(reader, "organisations", Organisation)
    return rules_of(
        int(version[0]) if version is not None else 0,
        pauses=_all(reader, "pauses", Pause),
        organisation=organisations[0] if organisations else Organisation(id=MAIN_ORGANISATION),
        teams=_all(reader, "teams", Team),
        projects=_all(reader, "projects", Project),
        accounts=_all(reader, "accounts", Account),
    )


def _all(reader: sqlite3.Connection, table: str, kind: type[R]) -> list[R]:
    names = kind.__struct_fields__
    columns = ", ".join([f'"{name}"' for name in names])
    rows = reader.execute(f"SELECT {columns} FROM {table} ORDER BY id")  # noqa: S608
    return [
        msgspec.convert(
            {
                name: msgspec.json.decode(value) if name in _JSON and value is not None else value
                for name, value in zip(names, row, strict=True)
            },
            kind,
        )
        for row in rows
    ]


def _key(row: tuple[Any, ...]) -> VirtualKey:
    values = dict(zip(_NAMES, row, strict=False))
    for (name, decode), text in zip(_DECODERS, row[len(_NAMES) :], strict=True):
        if text is not None:
            values[name] = decode(text)
    return msgspec.convert(values, VirtualKey)
