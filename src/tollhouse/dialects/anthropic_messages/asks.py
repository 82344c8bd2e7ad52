"""Requests: judged as far as the house must know them, forwarded byte for byte but for the model's name."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_family.request import splice
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.wire.json_scan import JsonFault, TopLevel, top_level

_LONGEST_MODEL: Final = 200
_READ: Final = ("model", "messages", "max_tokens", "stream")
"""Members the house acts on: written twice, nobody can say which of the two the upstream would believe."""


def read(ask: Ask) -> ClientCall:
    """See ports.dialect.Dialect.read."""
    body = ask.body
    try:
        scan = top_level(body)
    except JsonFault as fault:
        raise invalid_request(
            f"The request's body cannot be read: {fault}.", hint="Send one JSON object in UTF-8."
        ) from None
    for name in _READ:
        if name in scan.duplicates:
            raise invalid_request(
                f"`{name}` stands in the request more than once.", param=name, hint=f"Send `{name}` once."
            )
    model = ask.path_model or _model(body, scan)
    _check_messages(body, scan)
    is_stream = False
    if ask.operation is Operation.CHAT:
        _check_limit(body, scan)
        is_stream = _is_stream(body, scan) if ask.path_stream is None else ask.path_stream
    return ClientCall(
        operation=ask.operation,
        model=model,
        is_stream=is_stream,
        asks_usage=True,
        body=body,
        spans={**scan.members, "": scan.whole},
        query=ask.query,
        headers=ask.headers,
    )


def forward(call: ClientCall, model: str) -> bytes:
    """See ports.dialect.Dialect.forward; every stream of the dialect reports usage."""
    if model == call.model or "model" not in call.spans:
        return call.body
    return splice(call.body, [(*call.spans["model"], msgspec.json.encode(model))])


def _value(body: bytes, scan: TopLevel, name: str) -> bytes:
    """The JSON of a member; null where it is absent."""
    span = scan.members.get(name)
    return body[slice(*span)] if span is not None else b"null"


def _model(body: bytes, scan: TopLevel) -> str:
    hint = "Send `model` with the name of a route; GET /v1/models lists those your key may use."
    text = _value(body, scan, "model")
    if text == b"null":
        raise invalid_request("The request names no model.", param="model", hint=hint)
    if text[:1] != b'"':
        raise invalid_request("`model` must be a string.", param="model", hint=hint)
    model = msgspec.json.decode(text, type=str)
    if not 0 < len(model) <= _LONGEST_MODEL:
        raise invalid_request(
            f"`model` must have 1 to {_LONGEST_MODEL} characters, not {len(model)}.", param="model", hint=hint
        )
    return model


def _check_messages(body: bytes, scan: TopLevel) -> None:
    text = _value(body, scan, "messages")
    if text[:1] == b"[":
        return
    said = "is missing" if text == b"null" else "is of the wrong type"
    raise invalid_request(
        f"`messages` {said}.", param="messages", hint="Send `messages` as a list of messages."
    )


def _check_limit(body: bytes, scan: TopLevel) -> None:
    text = _value(body, scan, "max_tokens")
    if text.isdigit():
        return
    said = "is missing" if text == b"null" else "must be an integer that is not negative"
    raise invalid_request(
        f"`max_tokens` {said}.",
        param="max_tokens",
        hint="Send `max_tokens`, the most tokens the answer may have; the Messages API demands it.",
    )


def _is_stream(body: bytes, scan: TopLevel) -> bool:
    text = _value(body, scan, "stream")
    if text not in (b"true", b"false", b"null"):
        raise invalid_request(
            "`stream` must be true, false or null.", param="stream", hint="Send `stream` as a boolean."
        )
    return text == b"true"
