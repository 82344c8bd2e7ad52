"""Where the members of a JSON object lie in its bytes, so that one value can be exchanged and the rest left alone.

The decoder checks the whole text at C speed and says how long each value is; what is left to Python is one match per
key, from the end of one value to the beginning of the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

Span = tuple[int, int]
"""Start and end offsets of a JSON value in a body."""

_SPACE: Final = b" \t\n\r"
_TO_VALUE: Final = re.compile(
    rb'[ \t\n\r]*+[{,][ \t\n\r]*+"[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\n\r]*+:[ \t\n\r]*+', re.DOTALL
)
_BYTE: Final = re.compile(r" \(byte (\d+)\)$")
_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonFault(ValueError):
    """The bytes are not a JSON object. `position` is the offset of the offending byte where it is known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message if position is None else f"{message} at byte {position}")
        self.position = position


class TopLevel(msgspec.Struct, frozen=True, kw_only=True):
    """The members of one object."""

    whole: Span
    """The object itself, braces included."""
    members: Mapping[str, Span]
    """Where the values lie, by decoded key; of duplicates the last."""
    duplicates: frozenset[str]
    """Keys that stand there more than once."""


class _Key:
    """A key equal to nothing but itself: duplicates stay apart in the decoder's dict."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _to_key(_: type, text: Any) -> _Key:
    return _Key(text)


_DECODER: Final = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_to_key)
_LARGE_BYTES: Final = 65_536
MOST_MEMBERS: Final = 1_000
"""Of one object in a large body: each costs microseconds, and a body has room for millions."""


class _TooMany(Exception):
    """More members than anybody means."""


def _counting_decoder() -> msgspec.json.Decoder[dict[_Key, msgspec.Raw]]:
    keys: list[_Key] = []

    def to_key(_: type, text: Any) -> _Key:
        if len(keys) == MOST_MEMBERS:
            raise _TooMany
        keys.append(_Key(text))
        return keys[-1]

    return msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=to_key)


def top_level(body: bytes) -> TopLevel:
    """The spans of the members of the object in `body`. Work in Python grows with the number of keys only.

    Raises: JsonFault when `body` is not UTF-8, not JSON to the last byte, nested too deeply, not an object, or large
    and of more than a thousand members.
    """
    raws = _decode(body)
    members: dict[str, Span] = {}
    duplicates: set[str] = set()
    position = 0
    for key, raw in raws.items():
        match = _TO_VALUE.match(body, position)
        assert match is not None, "the decoder has seen a key and a colon here"
        start = match.end()
        position = start + memoryview(raw).nbytes
        if key.text in members:
            duplicates.add(key.text)
        members[key.text] = (start, position)
    whole = (body.index(b"{"), len(body.rstrip(_SPACE)))
    return TopLevel(whole=whole, members=members, duplicates=frozenset(duplicates))


def check_utf8(body: bytes) -> None:
    """The decoder does not look into text it skips. Raises: JsonFault."""
    if body.isascii():
        return
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonFault("it is not valid UTF-8", error.start) from None


def _decode(body: bytes) -> dict[_Key, msgspec.Raw]:
    check_utf8(body)
    decoder = _DECODER if len(body) <= _LARGE_BYTES else _counting_decoder()
    try:
        return decoder.decode(body)
    except _TooMany:
        raise JsonFault(f"it has more than {MOST_MEMBERS} members") from None
    except msgspec.ValidationError as error:
        raise JsonFault(_not_an_object(str(error))) from None
    except msgspec.DecodeError as error:
        raise _malformed(str(error), body) from None
    except RecursionError:
        raise JsonFault("it is nested too deeply") from None


def _not_an_object(said: str) -> str:
    found = said.partition("got `")[2].partition("`")[0]
    return f"it is of type {found or 'unknown'}, not an object"


def _malformed(said: str, body: bytes) -> JsonFault:
    if not body.strip(_SPACE):
        return JsonFault("it is empty")
    at = _BYTE.search(said)
    reason = _BYTE.sub("", said).removeprefix("JSON is malformed: ")
    if at is not None:
        return JsonFault(reason, int(at[1]))
    # Half of a surrogate pair close to the end is told as a truncation.
    if _HALF_PAIR.search(body):
        return JsonFault("it ends too early, or an escape such as \\ud83d lacks its other half")
    return JsonFault("it ends too early", len(body))
