"""Whole answers for callers of Converse. Source: Converse in Bedrock's API reference,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, read 2026-11-25."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import ToolCall
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .blocks_out import blocks_of
from .finishes import stop_reason_of
from .usage import written_usage

METRICS: Final = {"latencyMs": 0}
"""Must be there, and is measured by Bedrock's own servers: nothing here knows it."""
_TIERS: Final = frozenset(["priority", "default", "flex", "reserved"])


def write_response(response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:  # noqa: ARG001 - the port's
    """See ports.translation.ChatFaces.write_response. There is room for one choice only: the first."""
    choice = response.choices[0]
    has_calls = any(isinstance(part, ToolCall) for part in choice.parts)
    document: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": blocks_of(choice.parts)}},
        "stopReason": stop_reason_of(choice.finish, has_calls=has_calls),
        "usage": written_usage(response.usage),
        "metrics": METRICS,
    }
    if choice.finish.stop_sequence is not None:
        document["additionalModelResponseFields"] = {"stop_sequence": choice.finish.stop_sequence}
    if response.service_tier in _TIERS:
        document["serviceTier"] = {"type": response.service_tier}
    return encode_loosely(document)
