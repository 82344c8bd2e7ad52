"""What one call shall meet: latency and faults as pure data, and the places a script may come from.

A script travels, in this order of authority: queued by the test, in the header `x-mock-script` (JSON), in the body
member `mock`, in the model's name (`mock-chat@fault=cut,after_chunks=2`). The body member passes through a gateway
unchanged, the name is for callers that can set nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

HEADER: Final = "x-mock-script"
MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""Bound of `chunks` × `chunk_bytes`: a unary answer is held whole."""
_GUESSED_CHUNK_BYTES: Final = 16
"""A word, where the script does not say how large a chunk is."""


class Fault(StrEnum):
    """How a call goes wrong. Where nothing else is said, streams and unary answers both have the fault."""

    REFUSE = "refuse"
    """The listener closes for `refuse_s`, this connection is dropped unanswered."""
    RESET = "reset"
    """TCP reset before any answer."""
    CLOSE = "close"
    """Clean end of the connection before any answer."""
    STALL = "stall"
    """Never answered; closed after `stall_s`."""
    GARBAGE = "garbage"
    """What comes back is not HTTP."""
    HTML = "html"
    """A page of HTML in place of the answer."""
    EMPTY = "empty"
    """Status and headers, and a body of no bytes."""
    ERROR_IN_200 = "error_in_200"
    """An error object under status 200; in a stream as its only frame."""
    CUT = "cut"
    """Clean end of the connection in the middle of the answer."""
    RESET_MIDWAY = "reset_midway"
    STALL_MIDWAY = "stall_midway"
    TRUNCATED_JSON = "truncated_json"
    """Sound framing around JSON that breaks off; in a stream, one frame of it, and then the end."""
    JSON_TAIL = "json_tail"
    """A bare JSON error after the frames of a stream, or after the object of a unary answer."""
    WRONG_LENGTH = "wrong_length"
    """More bytes than announced, by content-length or by the size of an HTTP chunk."""
    TRICKLE = "trickle"
    """Every byte of the answer on its own, `chunk_delay_s` apart."""
    NO_TERMINAL = "no_terminal"
    """Streams only: a proper end of the body without finish_reason and `[DONE]`."""
    ERROR_MIDWAY = "error_midway"
    """Streams only: an error frame in place of the rest."""

    @property
    def needs_stream(self) -> bool:
        """Whether a unary answer cannot have this fault."""
        return self in (Fault.NO_TERMINAL, Fault.ERROR_MIDWAY)


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Script(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The course of one call. The plain `Script()` answers well and at once."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    """From 400 on the body is an error in OpenAI's shape, never a stream."""
    message: Annotated[str, msgspec.Meta(max_length=10_000)] | None = None
    """The sentence in the error; None for one that fits the status."""
    code: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    """The code in the error, such as `context_length_exceeded`; None for the usual one."""
    retry_after_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None
    """Sent as `retry-after` with an answer of any status."""
    delay_s: _Seconds = 0.0
    """Before anything else happens."""
    first_token_delay_s: _Seconds = 0.0
    """After the headers (and, in chat streams, the role), before the first content."""
    chunk_delay_s: _Seconds = 0.0
    """Between two chunks of content. The loop's timers count in milliseconds."""
    chunks: _Count | None = None
    """Chunks of content; None for one a word. Stronger than the caller's `max_tokens`."""
    chunk_bytes: Annotated[int, msgspec.Meta(ge=1, le=1024 * 1024)] | None = None
    """Size of each chunk's text; None leaves the words as they are."""
    fault: Fault | None = None
    after_chunks: _Count | None = None
    """Content chunks of a stream that come before a fault in its middle; None is 1, and all for `no_terminal`.
    Unary answers break in the middle of their body."""
    refuse_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    stall_s: _Seconds = 60.0
    """How long a stall lasts; then the connection is closed."""

    def __post_init__(self) -> None:
        text_bytes = (self.chunks or 0) * (self.chunk_bytes or _GUESSED_CHUNK_BYTES)
        if text_bytes > MAX_TEXT_BYTES:
            raise ValueError(f"chunks × chunk_bytes is {text_bytes}, the bound is {MAX_TEXT_BYTES}")


class ScriptRefused(ValueError):
    """A script nobody can perform. The message names the place it came from and the field."""


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What the mock looks for in any body, whatever else is in it."""

    model: Any = None
    mock: Any = None
    """A script, or null."""
    mock_id: Any = None
    """The test's own number of the call: told by `/_mock/calls`."""
    user: Any = None


_MARKS: Final = msgspec.json.Decoder(Marks)


def read_marks(body: bytes) -> Marks:
    """The marks of a body; none of them where it is not a JSON object."""
    try:
        return _MARKS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Marks()


def parse(fields: object, *, place: str, strict: bool = True) -> Script:
    """A script from decoded JSON. With `strict=False` numbers may be written as text. Raises: ScriptRefused."""
    try:
        return msgspec.convert(fields, Script, strict=strict)
    except msgspec.ValidationError as error:
        raise ScriptRefused(f"The script in {place} cannot be performed: {error}") from None


def parse_json(text: str | bytes, *, place: str) -> Script:
    """A script from JSON text. Raises: ScriptRefused."""
    try:
        fields = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ScriptRefused(f"The script in {place} is not JSON: {error}") from None
    return parse(fields, place=place)


def split_model(name: str) -> tuple[str, str | None]:
    """A model's name and the script written behind its last `@`; no script where nothing there has a `=`."""
    bare, _, fields = name.rpartition("@")
    return (bare, fields) if bare and "=" in fields else (name, None)


def parse_model(name: str) -> Script | None:
    """The script in a model's name, or None. Raises: ScriptRefused."""
    _, written = split_model(name)
    if written is None:
        return None
    fields = {}
    for pair in written.split(","):
        key, is_pair, value = pair.partition("=")
        if not is_pair:
            raise ScriptRefused(f"The script in the model's name has {pair!r} where name=value is expected")
        fields[key.strip()] = value.strip()
    return parse(fields, place="the model's name", strict=False)


def choose(headers: Mapping[str, str], marks: Marks) -> Script:
    """The script a request carries itself; the plain one if it carries none. Raises: ScriptRefused."""
    if (written := headers.get(HEADER)) is not None:
        return parse_json(written, place=f"the header {HEADER}")
    if marks.mock is not None:
        return parse(marks.mock, place="the body member mock")
    if isinstance(marks.model, str):
        return parse_model(marks.model) or Script()
    return Script()
