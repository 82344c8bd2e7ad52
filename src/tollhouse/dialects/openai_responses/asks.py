"""Callers' requests, judged as far as the house must know them before they are forwarded."""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import invalid_request
from tollhouse.dialects.ground_family.asks import call_of, flag_in, member, model_in, scanned
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.wire.json_scan import TopLevel

_READ: Final = ("model", "stream", "input", "previous_response_id")
"""Members the house acts on."""
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


def read(ask: Ask) -> ClientCall:
    """See ports.dialect.Dialect.read. Usage is always reported in this API, so every call asks for it."""
    body = ask.body
    scan = scanned(body, once=_READ)
    model = ask.path_model or model_in(body, scan)
    _check_input(body, scan)
    is_stream = flag_in(body, scan, "stream") if ask.path_stream is None else ask.path_stream
    return call_of(ask, scan, model=model, is_stream=is_stream)


def _check_input(body: bytes, scan: TopLevel) -> None:
    text = member(body, scan, "input")
    if text[:1] in (b'"', b"["):
        return
    if text == b"null" and any(member(body, scan, name) != b"null" for name in _INSTEAD_OF_INPUT):
        return
    said = "is missing" if text == b"null" else "is of the wrong type"
    hint = "Send `input` as a text or a list of items."
    if "messages" in scan.members:
        hint += " A body with `messages` belongs to chat completions."
    raise invalid_request(f"`input` {said}.", param="input", hint=hint)
