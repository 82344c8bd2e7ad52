"""Answers for tests of all dialects, as values and as the bytes of each dialect's own writer."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tollhouse.core.content import Part, Refusal, Signature, Text, Thinking, ToolCall
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage
from tollhouse.ports.dialect import ClientCall
from unit.dialects.crossing import SCENE, faces_of

USAGE = Usage(input_uncached_tokens=9, input_cache_read_tokens=3, output_text_tokens=5)
ISSUERS = {"anthropic_messages": "anthropic", "bedrock_converse": "anthropic", "gemini_generate": "gemini"}
WORDS = [
    "Grüße",
    "日本語",
    "👩‍👩‍👧",
    "line\nbreak",
    "data: x",
    '"quoted" \\ back',
    "\u2028",
    "tab\t",
    "plain",
]


def answered(*parts: Part, reason: FinishReason = FinishReason.STOP) -> ModelResponse:
    finish = Finish(reason=reason, raw="")
    return ModelResponse(
        id="r1", model="m1", choices=(Choice(parts=parts, finish=finish),), usage=USAGE, created_at=7
    )


def call(number: int, arguments: str = '{"city":"Oslo","n":1.50}') -> ToolCall:
    return ToolCall(id=f"call_{number}", name=f"tool_{number}", arguments=arguments)


def answers_for(name: str) -> dict[str, ModelResponse]:
    """By what is hard about them."""
    signature = Signature(issuer=ISSUERS.get(name, "openai"), value="c2lnbmF0dXJl")
    return {
        "a text": answered(Text(text="hello there")),
        "letters of many bytes": answered(Text(text=" ".join(WORDS))),
        "nothing": answered(),
        "a call": answered(call(1), reason=FinishReason.TOOL_CALLS),
        "a call without arguments": answered(call(1, "{}"), reason=FinishReason.TOOL_CALLS),
        "calls after a text": answered(Text(text="Now:"), call(1), call(2), reason=FinishReason.TOOL_CALLS),
        "thoughts": answered(Thinking(text="Hm, 日本.", signature=signature), Text(text="ho")),
        "a thought before a call": answered(
            Thinking(text="Hm.", signature=signature), call(1), reason=FinishReason.TOOL_CALLS
        ),
        "a refusal": answered(Refusal(text="No."), reason=FinishReason.REFUSAL),
        "an end at the limit": answered(Text(text="and then"), reason=FinishReason.LENGTH),
    }


def in_pieces(response: ModelResponse, size: int = 3) -> Iterator[StreamEvent]:
    """The answer's course of events, texts and arguments in deltas of a few letters."""
    yield ResponseStarted(id=response.id, model=response.model, created_at=response.created_at)
    for number, choice in enumerate(response.choices):
        for index, part in enumerate(choice.parts):
            yield from _part_in_pieces(part, index, number, size)
        yield Finished(finish=choice.finish, choice=number)
    if response.usage is not None:
        yield UsageReported(usage=response.usage)


def _part_in_pieces(part: Part, index: int, choice: int, size: int) -> Iterator[StreamEvent]:
    match part:
        case Text(text=text) | Refusal(text=text):
            yield PartStarted(index=index, part=type(part)(text=""), choice=choice)
            signature = None
        case Thinking(text=text, signature=signature):
            yield PartStarted(index=index, part=Thinking(), choice=choice)
        case ToolCall(arguments=text, signature=signature):
            yield PartStarted(
                index=index, part=ToolCall(id=part.id, name=part.name, arguments=""), choice=choice
            )
        case _:
            raise NotImplementedError(type(part))
    for start in range(0, len(text), size):
        yield PartDelta(index=index, text=text[start : start + size], choice=choice)
    yield PartEnded(index=index, choice=choice, signature=signature)


def stream_of(name: str, caller: ClientCall, events: Iterator[StreamEvent]) -> bytes:
    """The stream the dialect's own writer makes."""
    writer = faces_of(name).write_stream(caller, SCENE)
    return b"".join([writer.write([event]) for event in events]) + writer.finish()


def splits(data: bytes, seed: int = 0) -> dict[str, list[bytes]]:
    """The same bytes, cut in several ways."""
    ways = {f"{size} bytes": [data[i : i + size] for i in range(0, len(data), size)] for size in (1, 2, 3, 7)}
    chance = random.Random(seed)
    pieces, start = [], 0
    while start < len(data):
        size = chance.choice([1, 5, 60, 400])
        pieces.append(data[start : start + size])
        start += size
    return {**ways, "random": pieces}
