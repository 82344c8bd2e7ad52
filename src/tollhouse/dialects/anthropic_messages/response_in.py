"""An upstream's whole answers, read into the house's."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Part, Text
from tollhouse.core.response import Choice, ModelResponse
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import object_of_answer

from .blocks_in import part_of, text_in
from .errors import in_band_error
from .finishes import finish_of
from .usage import tier_of, usage_of


def read_response(body: bytes) -> ModelResponse:
    """See ports.translation.ChatFaces.read_response."""
    answer = _object(body)
    message_id = text_in(answer, "id")
    return ModelResponse(
        id=message_id,
        model=text_in(answer, "model"),
        choices=(
            Choice(
                parts=_parts(answer.get("content"), message_id),
                finish=finish_of(
                    answer.get("stop_reason"), answer.get("stop_sequence"), answer.get("stop_details")
                ),
            ),
        ),
        usage=usage_of(answer.get("usage")),
        service_tier=tier_of(answer.get("usage")),
    )


def _parts(content: object, message_id: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    if not isinstance(content, list):
        raise not_an_answer("answered with a JSON object that has no `content`")
    blocks = [block for block in content if isinstance(block, dict)]
    return tuple([part_of(block, number, message_id) for number, block in enumerate(blocks)])


def read_count(body: bytes) -> int:
    """See ports.translation.CountFaces.read_count."""
    count = _object(body).get("input_tokens")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise not_an_answer("answered with a JSON object that has no `input_tokens`")
    return count


def _object(body: bytes) -> dict[str, Any]:
    answer = object_of_answer(body)
    if answer.get("error") or answer.get("type") == "error":
        raise in_band_error(answer.get("error"))
    return answer
