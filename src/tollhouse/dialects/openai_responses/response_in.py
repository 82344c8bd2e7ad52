"""An upstream's whole answer, read into the house's types. Tolerant: what is unknown is kept or passed over.

Beside OpenAI's own answers those of xAI, DeepSeek, LM Studio, Bedrock and OpenRouter were read, as recorded.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
)
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import object_of_answer

from .errors import failure, failure_of_response
from .items_in import citation_of, logprobs_of
from .reasoning import signature_of
from .tools import DIALECT
from .unary import finish_word
from .usage import usage_of

_UNFINISHED: Final = ("queued", "in_progress")
_REASONS: Final = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def read_response(body: bytes) -> ModelResponse:
    """See ports.translation.ChatFaces.read_response."""
    answer = object_of_answer(body)
    if answer.get("error"):
        raise failure(answer["error"])
    status = answer.get("status")
    if status in ("failed", "cancelled"):
        raise failure_of_response(answer)
    if status in _UNFINISHED:
        raise not_an_answer("answered before it was finished")
    output = answer.get("output")
    if not isinstance(output, list):
        raise not_an_answer("answered with a JSON object that has no list of `output`")
    parts = tuple([part for index, item in enumerate(output) for part in parts_of(item, index)])
    return ModelResponse(
        id=text_of(answer, "id"),
        model=text_of(answer, "model"),
        choices=(Choice(parts=parts, finish=finish_of(answer, parts)),),
        usage=usage_of(answer.get("usage")),
        created_at=moment_of(answer),
        service_tier=text_of(answer, "service_tier") or None,
    )


def finish_of(answer: dict[str, Any], parts: tuple[Part, ...]) -> Finish:
    """Why a response that has not failed has ended. Calls end it as calls, whatever words it ends in."""
    word = finish_word(answer.get("status"), answer.get("incomplete_details")) or ""
    if answer.get("status") == "incomplete":
        return Finish(reason=_REASONS.get(word, FinishReason.OTHER), raw=word)
    if any(isinstance(part, ToolCall) for part in parts):
        return Finish(reason=FinishReason.TOOL_CALLS, raw=word)
    return Finish(reason=FinishReason.STOP, raw=word)


def text_of(among: dict[str, Any], name: str) -> str:
    """A member that should be a text; empty where it is none."""
    value = among.get(name)
    return value if isinstance(value, str) else ""


def moment_of(answer: dict[str, Any]) -> int | None:
    """When the response was created."""
    value = answer.get("created_at")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**12:
        return None
    return int(value)


def parts_of(item: Any, index: int) -> list[Part]:
    """The parts of one output item that is whole. `index` is its place, for calls that lack an id."""
    kind = item.get("type") if isinstance(item, dict) else None
    match kind:
        case "message":
            return _message(item.get("content"))
        case "function_call" | "custom_tool_call":
            return [call_of(item, index)]
        case "reasoning":
            thinking = thinking_of(item)
            return [thinking] if thinking.text or thinking.signature is not None else []
        case "image_generation_call" if text_of(item, "result"):
            return [_image(item)]
        case str():
            return [Opaque(dialect=DIALECT, kind=kind, value=item)]
        case _:
            return []


def _message(content: Any) -> list[Part]:
    if isinstance(content, str):
        content = [{"type": "output_text", "text": content}]
    if not isinstance(content, list):
        return []
    return [part for entry in content if (part := content_part(entry)) is not None]


def content_part(entry: Any) -> Text | Refusal | None:
    """A part of a message; None for those nobody else has, and for empty ones."""
    if not isinstance(entry, dict):
        return None
    match entry.get("type"):
        case "output_text" | "text" if text_of(entry, "text"):
            annotations = entry.get("annotations")
            return Text(
                text=text_of(entry, "text"),
                citations=tuple([citation_of(mark) for mark in annotations])
                if isinstance(annotations, list)
                else (),
                logprobs=logprobs_of(entry.get("logprobs")),
            )
        case "refusal" if text_of(entry, "refusal"):
            return Refusal(text=text_of(entry, "refusal"))
        case _:
            return None


def call_of(item: dict[str, Any], index: int) -> ToolCall:
    """A call with its arguments; those of a function that takes none are `{}`."""
    is_custom = item.get("type") == "custom_tool_call"
    said = item.get("input" if is_custom else "arguments")
    return ToolCall(
        id=text_of(item, "call_id") or text_of(item, "id") or f"call_{index}",
        name=text_of(item, "name"),
        arguments=arguments_of(said) if is_custom else arguments_of(said) or "{}",
        kind=ToolKind.CUSTOM if is_custom else ToolKind.FUNCTION,
        namespace=text_of(item, "namespace") or None,
    )


def arguments_of(said: Any) -> str:
    """Texts stay as they are but for those of white space only; some send the object itself."""
    if isinstance(said, str):
        return said if said.strip() else ""
    return "" if said is None else msgspec.json.encode(said).decode()


def thinking_of(item: dict[str, Any]) -> Thinking:
    """A reasoning item: its summary, else what open models show of it in full."""
    summary = _texts(item.get("summary"))
    content = [] if summary else _texts(item.get("content"))
    return Thinking(
        text="\n\n".join(summary or content),
        signature=signature_of(text_of(item, "encrypted_content")),
        is_summary=not content,
        id=text_of(item, "id") or None,
    )


def _texts(entries: Any) -> list[str]:
    if not isinstance(entries, list):
        return []
    return [text for entry in entries if isinstance(entry, dict) and (text := text_of(entry, "text"))]


def _image(item: dict[str, Any]) -> Media:
    form = text_of(item, "output_format") or "png"
    return Media(kind=MediaKind.IMAGE, media_type=f"image/{form}", data=item["result"])
