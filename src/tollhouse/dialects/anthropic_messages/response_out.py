"""Whole answers for callers: a `Message` with every member the SDK demands."""

from __future__ import annotations

from tollhouse.core.content import ToolCall
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.translation import Scene

from .blocks_out import CallIds, blocks_of
from .finishes import finish_out
from .usage import lifetimes_out, tier_out, usage_out


def write_response(response: ModelResponse, scene: Scene) -> bytes:
    """The first choice: a request of this dialect cannot ask for more."""
    choice = response.choices[0]
    ids = CallIds(scene.id)
    content = [block for part in choice.parts for block in blocks_of(part, ids)]
    ending = finish_out(
        choice.finish,
        has_calls=any(isinstance(part, ToolCall) for part in choice.parts),
    )
    return encode_loosely(
        {
            "id": f"msg_{scene.id}",
            "type": "message",
            "role": "assistant",
            "model": response.model or scene.model,
            "content": content,
            **ending,
            "usage": usage_out(response.usage)
            | {"cache_creation": lifetimes_out(response.usage)}
            | tier_out(response.service_tier),
        }
    )
