"""Whole answers of Cohere, read; and judged on their way to callers of the same dialect."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Citation, Part, Text, Thinking, TokenLogprob, ToolCall
from tollhouse.core.response import Choice, ModelResponse
from tollhouse.dialects.cohere_family.answers import answer_of
from tollhouse.dialects.cohere_family.usage import usage_of
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import Reading

from .citations import citation_of, content_index_of
from .finishes import failure_of, finish_of, finish_word
from .parts_in import arguments_in, call_id_in, logprobs_in, object_in, text_in


def read_whole(body: bytes) -> Reading:
    """What the tap sees in an answer. Raises: GatewayError when it is none."""
    answer, _ = _answer(body)
    return Reading(
        usage=usage_of(answer.get("usage")), finish_reason=finish_word(answer.get("finish_reason"))
    )


def read_response(body: bytes) -> ModelResponse:
    """See ports.translation.ChatFaces.read_response. Cohere's answers do not name the model."""
    answer, message = _answer(body)
    return ModelResponse(
        id=text_in(answer, "id"),
        model=text_in(answer, "model"),
        choices=(
            Choice(
                parts=tuple(_parts(message, logprobs_in(answer.get("logprobs")), text_in(answer, "id"))),
                finish=finish_of(answer.get("finish_reason")),
            ),
        ),
        usage=usage_of(answer.get("usage")),
    )


def _answer(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    answer = answer_of(body)
    failure = failure_of(answer)
    if failure is not None:
        raise failure
    message = answer.get("message")
    if not isinstance(message, dict):
        raise not_an_answer("answered with a JSON object that has no `message`")
    return answer, message


def _parts(message: dict[str, Any], logprobs: tuple[TokenLogprob, ...], answer_id: str) -> list[Part]:
    """Blocks of content, the plan, the calls."""
    parts: list[Part] = []
    for index, block in enumerate(_blocks(message.get("content"))):
        if text_in(block, "thinking"):
            parts.append(Thinking(text=text_in(block, "thinking")))
        elif text_in(block, "text"):
            citations = _citations(message, index)
            parts.append(Text(text=text_in(block, "text"), citations=citations, logprobs=logprobs))
            logprobs = ()
    plan = text_in(message, "tool_plan")
    if plan:
        parts.append(Thinking(text=plan, is_summary=True))
    return parts + _calls(message.get("tool_calls"), answer_id)


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _citations(message: dict[str, Any], index: int) -> tuple[Citation, ...]:
    """Those of one block; such as do not say which are the first text's."""
    listed = message.get("citations")
    blocks = _blocks(message.get("content"))
    first = next((place for place, block in enumerate(blocks) if text_in(block, "text")), 0)
    return tuple(
        [
            citation_of(value)
            for value in (listed if isinstance(listed, list) else [])
            if isinstance(value, dict)
            and (place if (place := content_index_of(value)) is not None else first) == index
        ]
    )


def _calls(listed: Any, answer_id: str) -> list[Part]:
    calls: list[Part] = []
    for place, call in enumerate(listed if isinstance(listed, list) else []):
        function = object_in(call, "function")
        if function:
            calls.append(
                ToolCall(
                    id=call_id_in(call, answer_id, place),
                    name=text_in(function, "name"),
                    arguments=arguments_in(function) or "{}",
                )
            )
    return calls
