"""The keys of a SQLite store, read with the standard library alone.

Loading the database library takes half of a start. What a worker needs before it can serve is one table, so the keeper
reads that table while the library is still being loaded; everything after it, changes to keys too, goes through the
store. Where this way does not lead to the keys, the store's does, a moment later.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from tollhouse.core.identity import VirtualKey

_COLUMNS: Final = VirtualKey.__struct_fields__
_PATIENCE_S: Final = 0.5


def first_keys(path: Path) -> tuple[int, tuple[VirtualKey, ...]] | None:
    """The version of the keys and all of them; None where there is no such database yet, or it cannot be read so."""
    if not path.is_file():
        return None
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_PATIENCE_S)
        ) as reader:
            reader.execute("BEGIN")
            (version,) = reader.execute("SELECT version FROM keys_version").fetchone()
            rows = reader.execute(f"SELECT {', '.join(_COLUMNS)} FROM keys ORDER BY created_at, id")  # noqa: S608
            return int(version), tuple([_key(row) for row in rows])
    except (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError):
        return None


def _key(row: tuple[object, ...]) -> VirtualKey:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["routes"] = msgspec.json.decode(str(values["routes"]))
    return msgspec.convert(values, VirtualKey)
