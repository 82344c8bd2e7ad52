"""Requests: judged as far as the house must know them, forwarded byte for byte but for what must change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.ports.dialect import Ask, ClientCall, Span
from tollhouse.wire.json_scan import JsonFault, TopLevel, top_level

_LONGEST_MODEL: Final = 200
_READ: Final = ("model", "stream", "stream_options")
"""Members the house acts on: written twice, nobody can say which of the two the upstream would believe."""
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


def read_request(ask: Ask, operation: Operation, subject: Subject, *, streams: bool) -> ClientCall:
    """See ports.dialect.Dialect.read. With `streams` false the operation has no streams and `stream` is not read."""
    body = ask.body
    scan = _scan(body)
    if subject.reshape is not None and subject.name not in scan.members and subject.otherwise in scan.members:
        body = subject.reshape(body)
        scan = _scan(body)
    model = ask.path_model or _model(body, scan)
    _check_subject(body, scan, subject)
    is_stream = streams and _flag(body, scan.members.get("stream"), "stream")
    asks = _asks_usage(body, scan) if streams else False
    return ClientCall(
        operation=operation,
        model=model,
        is_stream=is_stream,
        asks_usage=asks or not is_stream,
        body=body,
        spans={**scan.members, "": scan.whole},
        query=ask.query,
        headers=ask.headers,
    )


def forward_request(call: ClientCall, model: str, *, ask_usage: bool) -> bytes:
    """See ports.dialect.Dialect.forward."""
    edits: list[tuple[int, int, bytes]] = []
    if model != call.model and "model" in call.spans:
        edits.append((*call.spans["model"], msgspec.json.encode(model)))
    if ask_usage and not call.asks_usage:
        edits.append(_usage_edit(call.body, call.spans))
    return splice(call.body, edits)


def splice(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """`body` with each span `(start, end)` replaced; spans do not overlap. Without edits the same object."""
    if not edits:
        return body
    pieces = []
    position = 0
    for start, end, text in sorted(edits):
        pieces += [body[position:start], text]
        position = end
    pieces.append(body[position:])
    return b"".join(pieces)


def _usage_edit(body: bytes, spans: Mapping[str, Span]) -> tuple[int, int, bytes]:
    """The smallest change that makes the upstream report usage at the end of the stream."""
    if "stream_options" not in spans:
        brace = spans[""][1] - 1
        return brace, brace, b',"stream_options":{' + _ASK + b"}"
    start, end = spans["stream_options"]
    if body[start:end] == b"null":
        return start, end, b"{" + _ASK + b"}"
    inside = top_level(body[start:end])
    if "include_usage" in inside.members:
        old_start, old_end = inside.members["include_usage"]
        return start + old_start, start + old_end, b"true"
    brace = end - 1
    return brace, brace, (b"," if inside.members else b"") + _ASK


def _scan(body: bytes) -> TopLevel:
    try:
        scan = top_level(body)
    except JsonFault as fault:
        raise invalid_request(
            f"The request's body cannot be read: {fault}.", hint="Send one JSON object in UTF-8."
        ) from None
    _check_duplicates(scan)
    return scan


def _check_duplicates(scan: TopLevel) -> None:
    for name in _READ:
        if name in scan.duplicates:
            raise invalid_request(
                f"`{name}` stands in the request more than once.", param=name, hint=f"Send `{name}` once."
            )


def _model(body: bytes, scan: TopLevel) -> str:
    hint = "Send `model` with the name of a route; GET /v1/models lists those your key may use."
    span = scan.members.get("model")
    if span is None:
        raise invalid_request("The request names no model.", param="model", hint=hint)
    text = body[slice(*span)]
    if text[:1] != b'"':
        raise invalid_request("`model` must be a string.", param="model", hint=hint)
    model = msgspec.json.decode(text, type=str)
    if not 0 < len(model) <= _LONGEST_MODEL:
        raise invalid_request(
            f"`model` must have 1 to {_LONGEST_MODEL} characters, not {len(model)}.", param="model", hint=hint
        )
    return model


def _check_subject(body: bytes, scan: TopLevel, subject: Subject) -> None:
    name = subject.name
    span = scan.members.get(name)
    if span is not None and body[span[0]] in subject.starts:
        return
    said = "is missing" if span is None else "is of the wrong type"
    raise invalid_request(f"`{name}` {said}.", param=name, hint=f"Send `{name}` as {subject.wanted}.")


def _flag(body: bytes, span: Span | None, param: str) -> bool:
    """A boolean or null; absent counts as false."""
    text = body[slice(*span)] if span is not None else b"null"
    if text not in (b"true", b"false", b"null"):
        raise invalid_request(
            f"`{param}` must be true, false or null.", param=param, hint=f"Send `{param}` as a boolean."
        )
    return text == b"true"


def _asks_usage(body: bytes, scan: TopLevel) -> bool:
    span = scan.members.get("stream_options")
    text = body[slice(*span)] if span is not None else b"null"
    if text == b"null":
        return False
    if text[:1] != b"{":
        raise _bad_options("must be an object or null")
    inside = top_level(text)
    if "include_usage" in inside.duplicates:
        raise _bad_options("has `include_usage` more than once")
    return _flag(text, inside.members.get("include_usage"), "stream_options.include_usage")


def _bad_options(what: str) -> GatewayError:
    return invalid_request(
        f"`stream_options` {what}.",
        param="stream_options",
        hint='Send `"stream_options": {"include_usage": true}`, or leave it out.',
    )
