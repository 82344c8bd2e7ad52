"""Whole answers of Bedrock, as responses. They have neither an id nor a model's name."""

from __future__ import annotations

from tollhouse.core.response import Choice, ModelResponse

from .blocks_in import parts_of
from .finishes import finish_of
from .tap import answer_of
from .usage import usage_of


def read_response(body: bytes) -> ModelResponse:
    """See ports.translation.ChatFaces.read_response."""
    answer = answer_of(body)
    message = answer["output"].get("message")
    content = message.get("content") if isinstance(message, dict) else None
    tier = answer.get("serviceTier")
    kind = tier.get("type") if isinstance(tier, dict) else None
    return ModelResponse(
        id="",
        model="",
        choices=(
            Choice(
                parts=parts_of(content),
                finish=finish_of(answer.get("stopReason"), answer.get("additionalModelResponseFields")),
            ),
        ),
        usage=usage_of(answer.get("usage")),
        service_tier=kind if isinstance(kind, str) else None,
    )
