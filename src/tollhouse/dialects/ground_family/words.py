"""What an upstream says in its errors, whatever shape it says it in. Total: any bytes will do."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from .loose_json import DECODE_FAULTS, decode_loosely

LONGEST_MESSAGE: Final = 2000
_LONGEST_NAME: Final = 200
_LONGEST_EXCERPT: Final = 300
_LONGEST_EXTRA: Final = 4000
_DEEPEST: Final = 3
_TITLE: Final = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_MESSAGE_KEYS: Final = ("message", "Message", "detail", "error", "error_description", "errors")
_PART_KEYS: Final = ("message", "msg", "detail")
_EXTRAS: Final = ("failed_generation", "innererror", "metadata")
"""What clients read beside the message: Groq's half call, Azure's filter results, OpenRouter's reasons."""
_DELAY: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_AGAIN_IN: Final = re.compile(
    r"(?:try again|retry) in (?:([0-9]{1,4})h)?(?:([0-9]{1,5})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s))?",
    re.IGNORECASE,
)
"""As OpenAI, Groq and Google write it: `20ms`, `4.77s`, `1m30.002s`."""
_BRACKETS: Final = re.compile(r"\.([0-9]+)")
_STATUS_KEYS: Final = ("status_code", "code", "status", "statusCode")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's own words; empty or None where it has none."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    """An HTTP error status named inside the error."""
    reason: str | None = None
    """A finer code than `code`: Google's `ErrorInfo`, Azure's `innererror`."""
    wait_s: float | None = None
    """How long to wait in seconds, where the body says so."""
    is_moderated: bool = False
    """Whether what was flagged, and why, stands beside the message."""
    extras: dict[str, Any] = {}
    """Members that some clients read, as they came; bounded."""

    def as_error(self) -> dict[str, object]:
        """OpenAI's error object, strings or null as its SDKs expect them, and what else came with it."""
        error = {"message": self.message, "type": self.type, "code": self.code, "param": self.param}
        return {**error, **self.extras}


def words_of_body(body: bytes) -> Words | None:
    """The words of a JSON error; None where the body is not one."""
    return _words_of_body(body, 0)


def words_of(thing: object) -> Words:
    """The words of an error object, of a body that has one under `error`, or of a text."""
    return _words_of(thing, 0)


def _words_of_body(body: bytes, depth: int) -> Words | None:
    try:
        thing = decode_loosely(body)
    except DECODE_FAULTS:
        return None
    if isinstance(thing, list) and thing:
        thing = thing[0]  # Google wraps its errors in a list
    return _words_of(thing, depth) if isinstance(thing, dict) else None


def _words_of(thing: object, depth: int) -> Words:
    if not isinstance(thing, dict):
        return Words(message=_message(thing))
    inner = thing.get("error")
    error = inner if isinstance(inner, dict) else thing
    said, param = _said(next((error[key] for key in _MESSAGE_KEYS if error.get(key)), None))
    details = error.get("details")
    details = [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    words = Words(
        message=said,
        type=_first_name(
            error.get("type"), error.get("error_type"), error.get("status"), error.get("__type")
        ),
        code=_name(error.get("code")),
        param=_name(error.get("param")) or param,
        status=next(
            (status for key in _STATUS_KEYS if (status := _status(error.get(key))) is not None), None
        ),
        reason=_first_name(
            *(each.get("reason") for each in details), _member(error.get("innererror"), "code")
        ),
        wait_s=next((wait for each in details if (wait := _delay(each)) is not None), None) or _wait_in(said),
        is_moderated=bool(_member(error.get("metadata"), "flagged_input")),
        extras={name: error[name] for name in _EXTRAS if error.get(name) and _is_short(error[name])},
    )
    return _unwrapped(words, _member(error.get("metadata"), "raw"), depth)


def _unwrapped(words: Words, raw: object, depth: int) -> Words:
    """The same with what whoever stood behind the provider said: OpenRouter has their words beside its own message,
    other houses have the whole body inside of it, where it stays."""
    if depth >= _DEEPEST:
        return words
    if isinstance(raw, str) and raw.strip():
        behind = _words_of_body(raw.encode("utf-8", "replace"), depth + 1) or Words(message=_message(raw))
        said = behind.message or _message(raw)
        return msgspec.structs.replace(
            words,
            message=_clean(f"{words.message}: {said}" if words.message else said, LONGEST_MESSAGE),
            type=words.type or behind.type,
            reason=behind.code or behind.reason or words.reason,
            wait_s=words.wait_s if words.wait_s is not None else behind.wait_s,
        )
    if words.message.startswith("{"):
        inside = _words_of_body(words.message.encode("utf-8", "replace"), depth + 1)
        if inside is not None:
            return msgspec.structs.replace(
                words,
                reason=words.reason or inside.reason or inside.code,
                wait_s=words.wait_s if words.wait_s is not None else inside.wait_s,
            )
    return words


def _said(said: object) -> tuple[str, str | None]:
    """The message, and the one field it is about: validators send a list of complaints, each with its place."""
    if isinstance(said, dict):
        said = next((said[key] for key in (*_PART_KEYS, "errors") if said.get(key)), said)
    if isinstance(said, list) and said:
        parts = [_complaint(each) for each in said[:20]]
        if all(text for text, _ in parts):
            places = {place for _, place in parts}
            text = "; ".join(f"{place}: {text}" if place else text for text, place in parts)
            return _clean(text, LONGEST_MESSAGE), next(iter(places)) if len(places) == 1 else None
    return _message(said), None


def _complaint(part: object) -> tuple[str, str | None]:
    if isinstance(part, str):
        return part, None
    text = next((part[key] for key in _PART_KEYS if part.get(key)), None) if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(text, str):
        return "", None
    place = part.get("loc")
    steps = [str(step) for step in place if isinstance(step, str | int)] if isinstance(place, list) else []
    if steps[:1] == ["body"]:
        steps = steps[1:]
    return text, _clean(_BRACKETS.sub(r"[\1]", ".".join(steps)), _LONGEST_NAME) or None


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


def _first_name(*values: object) -> str | None:
    """The first that is a name; numbers and digits are statuses here and no names."""
    for value in values:
        if isinstance(value, str) and value and not value.isdigit():
            return _name(value)
    return None


def _member(thing: object, name: str) -> object:
    return thing.get(name) if isinstance(thing, dict) else None


def _is_short(value: object) -> bool:
    return len(_as_json(value)) in range(1, _LONGEST_EXTRA)


def _delay(detail: dict[str, Any]) -> float | None:
    """Google's `RetryInfo`."""
    delay = detail.get("retryDelay")
    match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
    return float(match[1]) if match is not None else None


def _wait_in(message: str) -> float | None:
    found = _AGAIN_IN.search(message)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, number, unit = found.groups()
    seconds = float(number or 0) / (1000 if unit is not None and unit.lower() == "ms" else 1)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds


def _status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None
