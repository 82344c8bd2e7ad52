"""Requests: judged as far as the house must know them, forwarded byte for byte but for the model's name."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.ports.dialect import Ask, ClientCall, Span
from tollhouse.wire.json_scan import JsonFault, TopLevel, top_level

_LONGEST_MODEL: Final = 200
_READ: Final = ("model", "stream")
"""Members the house acts on: written twice, nobody can say which of the two the upstream would believe."""


def read_request(
    ask: Ask, operation: Operation, subjects: tuple[str, ...], *, has_streams: bool
) -> ClientCall:
    """See ports.dialect.Dialect.read. One of the `subjects` must be there, as a list."""
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
    model = ask.path_model or _model(body, scan.members.get("model"))
    _check_subjects(body, scan, subjects)
    return ClientCall(
        operation=operation,
        model=model,
        is_stream=has_streams and _flag(body, scan.members.get("stream"), "stream"),
        asks_usage=True,
        body=body,
        spans={**scan.members, "": scan.whole},
        query=ask.query,
        headers=ask.headers,
    )


def forward_request(call: ClientCall, model: str) -> bytes:
    """See ports.dialect.Dialect.forward. Usage is reported without being asked for."""
    if model == call.model or "model" not in call.spans:
        return call.body
    start, end = call.spans["model"]
    return b"".join([call.body[:start], msgspec.json.encode(model), call.body[end:]])


def _model(body: bytes, span: Span | None) -> str:
    hint = "Send `model` with the name of a route; GET /v1/models lists those your key may use."
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


def _check_subjects(body: bytes, scan: TopLevel, subjects: tuple[str, ...]) -> None:
    """Explicit nulls count as absent."""
    first = {name: body[scan.members[name][0]] for name in subjects if name in scan.members}
    there = {name: letter for name, letter in first.items() if letter != ord("n")}
    if not there:
        names = " or ".join([f"`{name}`" for name in subjects])
        raise invalid_request(f"The request has no {names}.", param=subjects[0], hint=f"Send {names}.")
    for name, letter in there.items():
        if letter != ord("["):
            raise invalid_request(f"`{name}` must be a list.", param=name, hint=f"Send `{name}` as a list.")


def _flag(body: bytes, span: Span | None, param: str) -> bool:
    """A boolean or null; absent counts as false."""
    text = body[slice(*span)] if span is not None else b"null"
    if text not in (b"true", b"false", b"null"):
        raise invalid_request(
            f"`{param}` must be true, false or null.", param=param, hint=f"Send `{param}` as a boolean."
        )
    return text == b"true"
