"""Callers' requests: judged as far as the house must know them, forwarded byte for byte but for the model's name."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.core.errors import invalid_request
from tollhouse.dialects.openai_family.request import splice
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.wire.json_scan import JsonFault, TopLevel, top_level

_LONGEST_MODEL: Final = 200
_READ: Final = ("model", "stream", "input", "previous_response_id")
"""Members the house acts on: written twice, nobody can say which of the two the upstream would believe."""
KNOWN: Final = frozenset(
    [
        "access_programs", "background", "background_options", "context_management", "conversation", "image", "include",
        "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation",
        "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options",
        "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
    ]
)  # fmt: skip
"""Top-level members the reference describes ("Create a model response", openai-python 3.57.0, read 2026-11-25)."""
_INSTEAD_OF_INPUT: Final = ("previous_response_id", "conversation", "prompt")
"""What a call can be about without an `input` of its own."""


def read_call(ask: Ask) -> ClientCall:
    """See ports.dialect.Dialect.read. Usage is always reported in this API, so every call asks for it."""
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
    _check_input(body, scan)
    return ClientCall(
        operation=ask.operation,
        model=model,
        is_stream=_stream(body, scan) if ask.path_stream is None else ask.path_stream,
        asks_usage=True,
        body=body,
        spans={**scan.members, "": scan.whole},
        query=ask.query,
        headers=ask.headers,
    )


def forward_call(call: ClientCall, model: str) -> bytes:
    """See ports.dialect.Dialect.forward."""
    if model == call.model or "model" not in call.spans:
        return call.body
    return splice(call.body, [(*call.spans["model"], msgspec.json.encode(model))])


def _text(body: bytes, scan: TopLevel, name: str) -> bytes:
    """The JSON of a member; `null` where it is absent."""
    span = scan.members.get(name)
    return body[slice(*span)] if span is not None else b"null"


def _model(body: bytes, scan: TopLevel) -> str:
    hint = "Send `model` with the name of a route; GET /v1/models lists those your key may use."
    if "model" not in scan.members:
        raise invalid_request("The request names no model.", param="model", hint=hint)
    text = _text(body, scan, "model")
    if text[:1] != b'"':
        raise invalid_request("`model` must be a string.", param="model", hint=hint)
    model = msgspec.json.decode(text, type=str)
    if not 0 < len(model) <= _LONGEST_MODEL:
        raise invalid_request(
            f"`model` must have 1 to {_LONGEST_MODEL} characters, not {len(model)}.", param="model", hint=hint
        )
    return model


def _check_input(body: bytes, scan: TopLevel) -> None:
    text = _text(body, scan, "input")
    if text[:1] in (b'"', b"["):
        return
    if text == b"null" and any(_text(body, scan, name) != b"null" for name in _INSTEAD_OF_INPUT):
        return
    said = "is missing" if text == b"null" else "is of the wrong type"
    hint = "Send `input` as a text or a list of items."
    if "messages" in scan.members:
        hint += " A body with `messages` belongs to chat completions."
    raise invalid_request(f"`input` {said}.", param="input", hint=hint)


def _stream(body: bytes, scan: TopLevel) -> bool:
    text = _text(body, scan, "stream")
    if text not in (b"true", b"false", b"null"):
        raise invalid_request(
            "`stream` must be true, false or null.", param="stream", hint="Send `stream` as a boolean."
        )
    return text == b"true"
