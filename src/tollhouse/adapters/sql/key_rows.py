"""Keys to rows and back. There may be very many, so what is alike in them is decoded once and shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement

from tollhouse.adapters.sql.tables import KEYS
from tollhouse.core.identity import VirtualKey

Values = dict[str, Any]


def _decoder(name: str, type_: Any) -> Callable[[str], Any]:
    decode = msgspec.json.Decoder(type_).decode
    # A mapping can be changed by whoever has it, so each key has its own.
    return decode if name == "metadata" else lru_cache(maxsize=4096)(decode)


_JSON: Final = ("routes", "limits", "budget", "doors", "networks", "hours", "tags", "metadata")
"""Columns that hold documents, null where they say nothing."""
_VERSION: Final = "version"
"""Of a key; its column is named `changed_version`."""
_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(VirtualKey)}
_PLAIN: Final = tuple([name for name in VirtualKey.__struct_fields__ if name not in (*_JSON, _VERSION)])
_DECODERS: Final = [(name, _decoder(name, _TYPES[name])) for name in _JSON]
_NOTHING: Final = VirtualKey(id="", name="", digest="")

KEY_COLUMNS: Final[Sequence[ColumnElement[Any]]] = [
    KEYS.c.changed_version,
    *[KEYS.c[name] for name in (*_PLAIN, *_JSON)],
]
"""What `key_record` takes, in its order."""
_NAMES: Final = (_VERSION, *_PLAIN)


def key_values(key: VirtualKey, version: int) -> Values:
    """The row of a key that is in this state from this version on."""
    values = {name: getattr(key, name) for name in _PLAIN}
    for name in _JSON:
        value = getattr(key, name)
        is_told = name == "routes" or value != getattr(_NOTHING, name)
        values[name] = msgspec.json.encode(value).decode() if is_told else None
    return values | {"changed_version": version}


def key_record(row: Sequence[Any]) -> VirtualKey:
    values = dict(zip(_NAMES, row, strict=False))
    for (name, decode), text in zip(_DECODERS, row[len(_NAMES) :], strict=True):
        if text is not None:
            values[name] = decode(text)
    return VirtualKey(**values)
