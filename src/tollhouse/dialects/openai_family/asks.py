"""Requests: judged as far as the house must know them, forwarded byte for byte but for what must change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import call_of, flag_in, member, model_in, scanned, splice
from tollhouse.ports.dialect import Ask, ClientCall, Span
from tollhouse.wire.json_scan import TopLevel, top_level

_READ: Final = ("model", "stream", "stream_options")
"""Members the house acts on."""
_ASK: Final = b'"include_usage":true'


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The member that says what the call is about."""

    name: str
    starts: bytes
    """First bytes of the JSON values it may be."""
    wanted: str
    """The same for people."""
    otherwise: str = ""
    """The member that some clients send in its place, in a body of another shape."""
    reshape: Callable[[bytes], bytes] | None = None
    """Makes a body of the dialect's shape of one that has `otherwise`. Raises: GatewayError `invalid_request`."""


def read(ask: Ask, operation: Operation, subject: Subject, *, streams: bool) -> ClientCall:
    """See ports.dialect.Dialect.read. With `streams` false the operation has no streams and `stream` is not read."""
    body = ask.body
    once = (*_READ, subject.name)
    scan = scanned(body, once=once)
    if subject.reshape is not None and subject.name not in scan.members and subject.otherwise in scan.members:
        body = subject.reshape(body)
        scan = scanned(body, once=once)
    model = ask.path_model or model_in(body, scan)
    _check_subject(body, scan, subject)
    is_stream = streams and flag_in(body, scan, "stream")
    asks = _asks_usage(body, scan) if streams else False
    return call_of(
        ask,
        scan,
        model=model,
        is_stream=is_stream,
        operation=operation,
        asks_usage=asks or not is_stream,
        body=body,
    )


def forward(call: ClientCall, model: str, *, ask_usage: bool) -> bytes:
    """See ports.dialect.Dialect.forward."""
    edits: list[tuple[Span, bytes]] = []
    if model != call.model and "model" in call.spans:
        edits.append((call.spans["model"], msgspec.json.encode(model)))
    if ask_usage and not call.asks_usage:
        edits.append(_usage_edit(call.body, call.spans))
    return splice(call.body, edits)


def _usage_edit(body: bytes, spans: Mapping[str, Span]) -> tuple[Span, bytes]:
    """The smallest change that makes the upstream report usage at the end of the stream."""
    if "stream_options" not in spans:
        brace = spans[""][1] - 1
        return (brace, brace), b',"stream_options":{' + _ASK + b"}"
    start, end = spans["stream_options"]
    if body[start:end] == b"null":
        return (start, end), b"{" + _ASK + b"}"
    inside = top_level(body[start:end])
    if "include_usage" in inside.members:
        old_start, old_end = inside.members["include_usage"]
        return (start + old_start, start + old_end), b"true"
    brace = end - 1
    return (brace, brace), (b"," if inside.members else b"") + _ASK


def _check_subject(body: bytes, scan: TopLevel, subject: Subject) -> None:
    name = subject.name
    span = scan.members.get(name)
    if span is not None and body[span[0]] in subject.starts:
        return
    said = "is missing" if span is None else "is of the wrong type"
    raise invalid_request(f"`{name}` {said}.", param=name, hint=f"Send `{name}` as {subject.wanted}.")


def _asks_usage(body: bytes, scan: TopLevel) -> bool:
    text = member(body, scan, "stream_options")
    if text == b"null":
        return False
    if text[:1] != b"{":
        raise _bad_options("must be an object or null")
    inside = top_level(text)
    if "include_usage" in inside.duplicates:
        raise _bad_options("has `include_usage` more than once")
    return flag_in(text, inside, "include_usage", path="stream_options.include_usage")


def _bad_options(what: str) -> GatewayError:
    return invalid_request(
        f"`stream_options` {what}.",
        param="stream_options",
        hint='Send `"stream_options": {"include_usage": true}`, or leave it out.',
    )
