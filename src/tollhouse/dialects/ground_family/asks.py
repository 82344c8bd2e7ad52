"""What callers ask, for upstreams of the same dialect: scanned instead of decoded, and forwarded byte for byte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.ports.dialect import Ask, ClientCall, Span
from tollhouse.wire.json_scan import JsonFault, TopLevel, top_level

_LONGEST_MODEL: Final = 200
_COUNTED: Final = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of",
    "generationConfig", "generation_config", "inferenceConfig", "additionalModelRequestFields", "container",
    "documents", "mcp_servers", "modalities", "models", "plugins", "prediction", "prompt", "provider", "query",
    "service_tier", "serviceTier", "speed", "toolConfig", "tools", "web_search_options",
)  # fmt: skip
"""What says, in one dialect or another, how much may come out and what it may cost: budgets reckon by it, in all of
them."""


def scanned(body: bytes, *, once: Iterable[str]) -> TopLevel:
    """Where the members of a request lie. Those the house acts on must not stand there more than `once`: nobody can
    say which of the two the upstream would believe. Raises: GatewayError `invalid_request`."""
    try:
        scan = top_level(body)
    except JsonFault as fault:
        raise invalid_request(
            f"The request's body cannot be read: {fault}.", hint="Send one JSON object in UTF-8."
        ) from None
    for name in (*once, *_COUNTED) if scan.duplicates else ():
        if name in scan.duplicates:
            raise invalid_request(
                f"`{name}` stands in the request more than once.", param=name, hint=f"Send `{name}` once."
            )
    return scan


def member(body: bytes, scan: TopLevel, name: str) -> bytes:
    """The JSON of a member; `null` where it is absent."""
    span = scan.members.get(name)
    return body[slice(*span)] if span is not None else b"null"


def model_in(body: bytes, scan: TopLevel) -> str:
    """The route that is asked for. Raises: GatewayError `invalid_request`."""
    hint = "Send `model` with the name of a route; GET /v1/models lists those your key may use."
    if "model" not in scan.members:
        raise invalid_request("The request names no model.", param="model", hint=hint)
    text = member(body, scan, "model")
    if text[:1] != b'"':
        raise invalid_request("`model` must be a string.", param="model", hint=hint)
    model = msgspec.json.decode(text, type=str)
    if not 0 < len(model) <= _LONGEST_MODEL:
        raise invalid_request(
            f"`model` must have 1 to {_LONGEST_MODEL} characters, not {len(model)}.", param="model", hint=hint
        )
    return model


def flag_in(body: bytes, scan: TopLevel, name: str, *, path: str = "") -> bool:
    """A boolean or null, as which absent counts too: false. `path` is what callers call it, where it lies deeper.

    Raises: GatewayError `invalid_request`.
    """
    text = member(body, scan, name)
    if text not in (b"true", b"false", b"null"):
        path = path or name
        raise invalid_request(
            f"`{path}` must be true, false or null.", param=path, hint=f"Send `{path}` as a boolean."
        )
    return text == b"true"


def call_of(
    ask: Ask,
    scan: TopLevel,
    *,
    model: str,
    is_stream: bool,
    operation: Operation | None = None,
    asks_usage: bool = True,
    body: bytes | None = None,
) -> ClientCall:
    """What was found out about a request. `operation` and `body` are the ask's own unless they are given."""
    return ClientCall(
        operation=ask.operation if operation is None else operation,
        model=model,
        is_stream=is_stream,
        asks_usage=asks_usage,
        body=ask.body if body is None else body,
        spans={**scan.members, "": scan.whole},
        query=ask.query,
        headers=ask.headers,
    )


def with_model(call: ClientCall, model: str) -> bytes:
    """The caller's bytes but for the model's name; the same object where that is the same."""
    if model == call.model or "model" not in call.spans:
        return call.body
    return splice(call.body, [(call.spans["model"], msgspec.json.encode(model))])


def splice(body: bytes, edits: Iterable[tuple[Span, bytes]]) -> bytes:
    """The body with other bytes in some spans, which do not overlap. Without edits the same object."""
    pieces = []
    position = 0
    for (start, end), text in sorted(edits):
        pieces += [body[position:start], text]
        position = end
    return b"".join([*pieces, body[position:]]) if pieces else body
