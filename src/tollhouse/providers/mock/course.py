"""The course of a call: a request and a script become a sequence of actions, which a server performs in order.

Actions are made one by one as they are asked for, so that a long stream is never held whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Final

import msgspec

from . import answers
from .questions import Call, Question, Refused, read
from .script import Fault, Script

MIDWAY_PAUSE_S: Final = 0.05
"""Before a reset in the middle: a reset may overtake bytes the client has not read yet."""
GARBAGE: Final = b"\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n"
_PAGE: Final = (
    b"<html><head><title>Bad gateway</title></head><body><h1>Not what you asked</h1></body></html>\n"
)
_SHORT_BY_BYTES: Final = 10
_LAST_CHUNK: Final = b"0\r\n\r\n"
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream; charset=utf-8"


class Send(msgspec.Struct, frozen=True):
    """Write these bytes to the connection."""

    payload: bytes


class Wait(msgspec.Struct, frozen=True):
    """Do nothing for so long, and let what was sent go out first."""

    duration_s: float


class Close(msgspec.Struct, frozen=True):
    """End the connection cleanly, once everything has been sent."""


class Reset(msgspec.Struct, frozen=True):
    """End the connection by TCP reset, now."""


class RefuseFor(msgspec.Struct, frozen=True):
    """Stop listening for so long."""

    duration_s: float


Action = Send | Wait | Close | Reset | RefuseFor


def perform(call: Call, script: Script) -> Iterator[Action]:
    """Everything that happens to one call. A sequence without Close or Reset leaves the connection open."""
    actions = _act(call, script)
    return _trickled(actions, script.chunk_delay_s) if script.fault is Fault.TRICKLE else actions


def refuse(call: Call, refused: Refused) -> Iterator[Action]:
    """A plain error, where no script is to be performed."""
    yield plain(call, refused.status, answers.refusal_body(refused))


def plain(call: Call, status: int, body: bytes) -> Send:
    """A JSON answer at once."""
    head = _head(call, status, _JSON, length_bytes=len(body))
    return Send(head if call.method == "HEAD" else head + body)


def _act(call: Call, script: Script) -> Iterator[Action]:
    if script.delay_s:
        yield Wait(script.delay_s)
    match script.fault:
        case Fault.REFUSE:
            yield from (RefuseFor(script.refuse_s), Reset())
        case Fault.RESET:
            yield Reset()
        case Fault.CLOSE:
            yield Close()
        case Fault.STALL:
            yield from (Wait(script.stall_s), Close())
        case Fault.GARBAGE:
            yield from (Send(GARBAGE), Close())
        case _:
            yield from _answer(call, script)


def _answer(call: Call, script: Script) -> Iterator[Action]:
    try:
        question = read(call)
        if script.fault and script.fault.needs_stream and not question.is_stream:
            raise Refused(400, f"The fault {script.fault} needs a stream; this call is none.", param="mock")
    except Refused as refused:
        yield from refuse(call, refused)
        return
    if script.fault is Fault.HTML:
        yield from _whole(call, script, _PAGE, "text/html; charset=utf-8")
    elif script.status >= 400:
        yield from _whole(call, script, answers.error_body(script.status, script.message, script.code), _JSON)
    elif question.is_stream:
        yield from _stream(call, question, script)
    elif script.fault is Fault.ERROR_IN_200:
        yield from _whole(call, script, _error(script), _JSON)
    else:
        yield from _whole(call, script, answers.unary(question, script), _JSON)


def _error(script: Script) -> bytes:
    """The error that comes where a status can no longer tell it."""
    return answers.error_body(500, script.message or "The mock was told to fail in its answer.", script.code)


def _whole(call: Call, script: Script, body: bytes, content_type: str) -> Iterator[Action]:
    """A unary answer, with the faults its body can have."""
    match script.fault:
        case Fault.EMPTY:
            body = b""
        case Fault.TRUNCATED_JSON:
            body = body[: len(body) // 2]
        case Fault.JSON_TAIL:
            body += b"\n" + _error(script)
        case _:
            pass
    short_bytes = _SHORT_BY_BYTES if script.fault is Fault.WRONG_LENGTH else 0
    length_bytes = max(len(body) - short_bytes, 0)
    head = _head(
        call, script.status, content_type, length_bytes=length_bytes, retry_after_s=script.retry_after_s
    )
    if script.fault in (Fault.CUT, Fault.RESET_MIDWAY, Fault.STALL_MIDWAY):
        yield from _timed(head, body[: len(body) // 2], script)
        yield from _break_off(script)
    else:
        yield from _timed(head, body, script)


def _timed(head: bytes, body: bytes, script: Script) -> Iterator[Action]:
    if script.first_token_delay_s:
        yield from (Send(head), Wait(script.first_token_delay_s), Send(body))
    else:
        yield Send(head + body)


def _break_off(script: Script) -> Iterator[Action]:
    match script.fault:
        case Fault.CUT:
            yield Close()
        case Fault.RESET_MIDWAY:
            yield from (Wait(MIDWAY_PAUSE_S), Reset())
        case _:
            yield from (Wait(script.stall_s), Close())


def _stream(call: Call, question: Question, script: Script) -> Iterator[Action]:
    """A streamed answer: headers, role, content, end, or as much of it as the fault leaves."""
    head = _head(call, script.status, _EVENTS, retry_after_s=script.retry_after_s)
    if script.fault is Fault.EMPTY:
        yield Send(head)
        yield from _end(call)
    elif script.fault is Fault.ERROR_IN_200:
        yield Send(head + _chunk(call, answers.frame(_error(script))))
        yield from _end(call)
    else:
        yield Send(head + b"".join(_chunk(call, frame) for frame in answers.opening_frames(question)))
        yield from _contents(call, question, script)


def _contents(call: Call, question: Question, script: Script) -> Iterator[Action]:
    content = answers.content_of(question, script)
    frames = answers.content_frames(question, content)
    closing = answers.closing_frames(question, content)
    breaks_after = _breaks_after(script, content.pieces)
    if script.first_token_delay_s:
        yield Wait(script.first_token_delay_s)
    for count, frame in enumerate(frames):
        if count == breaks_after:
            closing = chain([frame], closing)
            break
        if count and script.chunk_delay_s:
            yield Wait(script.chunk_delay_s)
        yield Send(_chunk(call, frame))
    if breaks_after is not None:
        yield from _break_stream(call, script, next(closing))
        return
    for frame in closing:
        yield Send(_chunk(call, frame))
    yield from _end(call)


def _breaks_after(script: Script, pieces: Sequence[str]) -> int | None:
    """How many chunks of content come before the fault; None where there is no fault in the middle."""
    match script.fault:
        case None | Fault.TRICKLE:
            return None
        case Fault.NO_TERMINAL if script.after_chunks is None:
            return len(pieces)
        case _:
            return 1 if script.after_chunks is None else script.after_chunks


def _break_stream(call: Call, script: Script, following: bytes) -> Iterator[Action]:
    """The fault in place of the rest, of which `following` would have been the next frame."""
    match script.fault:
        case Fault.CUT | Fault.RESET_MIDWAY | Fault.STALL_MIDWAY:
            yield from _break_off(script)
            return
        case Fault.WRONG_LENGTH:
            yield from (Send(_short_chunk(call, following)), Close())
            return
        case Fault.ERROR_MIDWAY:
            yield Send(_chunk(call, answers.frame(_error(script))))
        case Fault.JSON_TAIL:
            yield Send(_chunk(call, _error(script)))
        case Fault.TRUNCATED_JSON:
            yield Send(_chunk(call, following[: len(following) // 2] + b"\n\n"))
        case _:
            pass
    yield from _end(call)


def _trickled(actions: Iterable[Action], pause_s: float) -> Iterator[Action]:
    """Every byte a Send of its own."""
    pause = Wait(pause_s)
    for action in actions:
        if not isinstance(action, Send):
            yield action
            continue
        for at in range(len(action.payload)):
            yield Send(action.payload[at : at + 1])
            yield pause


def _head(
    call: Call,
    status: int,
    content_type: str,
    *,
    length_bytes: int | None = None,
    retry_after_s: float | None = None,
) -> bytes:
    """Status line and headers. Without a length the body is a stream."""
    lines = [
        f"HTTP/1.1 {status} {_reason(status)}",
        f"content-type: {content_type}",
        f"x-request-id: mock-request-{call.number}",
    ]
    if retry_after_s is not None:
        lines.append(f"retry-after: {retry_after_s:g}")
    if length_bytes is not None:
        lines.append(f"content-length: {length_bytes}")
    else:
        lines.append("cache-control: no-cache")
        lines.append("transfer-encoding: chunked" if call.is_http11 else "connection: close")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Scripted"


def _chunk(call: Call, payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload) if call.is_http11 else payload


def _short_chunk(call: Call, payload: bytes) -> bytes:
    """A chunk that announces fewer bytes than it has."""
    return b"%x\r\n%b\r\n" % (max(len(payload) - _SHORT_BY_BYTES, 1), payload) if call.is_http11 else payload


def _end(call: Call) -> Iterator[Action]:
    if call.is_http11:
        yield Send(_LAST_CHUNK)
    else:
        yield Close()
