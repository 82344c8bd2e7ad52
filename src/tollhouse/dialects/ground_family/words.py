"""What an upstream says in its errors, whatever shape it says it in. Total: any bytes will do."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from .loose_json import DECODE_FAULTS, decode_loosely

LONGEST_MESSAGE: Final = 2000
_LONGEST_NAME: Final = 200
_LONGEST_EXCERPT: Final = 300
_TITLE: Final = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_MESSAGE_KEYS: Final = ("message", "detail", "error", "error_description", "errors")
_STATUS_KEYS: Final = ("status_code", "code", "status", "statusCode")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's own words; empty or None where it has none."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    """An HTTP error status named inside the error."""

    def as_error(self) -> dict[str, object]:
        """OpenAI's error object: strings or null, as its SDKs expect them."""
        return {"message": self.message, "type": self.type, "code": self.code, "param": self.param}


def words_of_body(body: bytes) -> Words | None:
    """The words of a JSON error; None where the body is not one."""
    try:
        thing = decode_loosely(body)
    except DECODE_FAULTS:
        return None
    if isinstance(thing, list) and thing:
        thing = thing[0]  # Google wraps its errors in a list
    return words_of(thing) if isinstance(thing, dict) else None


def words_of(thing: object) -> Words:
    """The words of an error object, of a body that has one under `error`, or of a text."""
    if not isinstance(thing, dict):
        return Words(message=_message(thing))
    inner = thing.get("error")
    error = inner if isinstance(inner, dict) else thing
    said = next((error[key] for key in _MESSAGE_KEYS if error.get(key)), None)
    return Words(
        message=_message(said),
        type=_name(error.get("type")),
        code=_name(error.get("code")),
        param=_name(error.get("param")),
        status=next(
            (status for key in _STATUS_KEYS if (status := _status(error.get(key))) is not None), None
        ),
    )


def summary(body: bytes) -> str:
    """What came instead of JSON, in a few words that fit into a sentence. For errors: it quotes what was said."""
    text = body.strip()
    if not text or text[:1] == b"<":
        return outline(body)
    return f"the text {_clean(text[: 4 * _LONGEST_EXCERPT].decode('utf-8', 'replace'), _LONGEST_EXCERPT)!r}"


def outline(body: bytes) -> str:
    """The same without its words, but for a page's title: what may be part of an answer belongs to the caller alone."""
    text = body.strip()
    if not text:
        return "an empty body"
    if text[:1] != b"<":
        return f"a text of {len(text)} bytes"
    title = _TITLE.search(text[:10_000])
    if title is None:
        return "a page of markup"
    return f"a page titled {_clean(title[1].decode('utf-8', 'replace'), 100)!r}"


def _message(said: object) -> str:
    if said is None:
        return ""
    if isinstance(said, str):
        return _clean(said, LONGEST_MESSAGE)
    return _clean(_as_json(said), LONGEST_MESSAGE)


def _as_json(thing: Any) -> str:
    try:
        return msgspec.json.encode(thing).decode("utf-8")
    except (ValueError, RecursionError):
        return ""  # half a surrogate pair, or nested without end


def _clean(text: str, bound: int) -> str:
    """Bounded, one character for each that cannot be shown, and always encodable."""
    text = text[: bound + 1].encode("utf-8", "replace").decode("utf-8")
    text = "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text).strip()
    return text if len(text) <= bound else text[: bound - 1] + "…"


def _name(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return _clean(str(value), _LONGEST_NAME)


def _status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None
