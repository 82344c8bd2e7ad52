"""Which members of a chat completion reach a model: told by the writer that would write them, not by a second list."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import Media, MediaKind, Message, Part, Role, Text
from tollhouse.core.errors import GatewayError
from tollhouse.core.request import ChoiceMode, Field, ModelRequest, Reasoning, Sampling, Tool, ToolChoice
from tollhouse.ports.provider import Support, Thinking, Traits
from tollhouse.ports.translation import ChatFaces

_PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_TOOL: Final = Tool(name="look_up", schema={"type": "object", "properties": {}})
_QUESTION: Final = Text(text="?")
_PROBES: Final[tuple[tuple[str, Field, dict[str, Any]], ...]] = (
    ("temperature", Field.TEMPERATURE, {"sampling": Sampling(temperature=0.5)}),
    ("top_p", Field.TOP_P, {"sampling": Sampling(top_p=0.5)}),
    ("top_k", Field.TOP_K, {"sampling": Sampling(top_k=5)}),
    ("frequency_penalty", Field.FREQUENCY_PENALTY, {"sampling": Sampling(frequency_penalty=0.5)}),
    ("presence_penalty", Field.PRESENCE_PENALTY, {"sampling": Sampling(presence_penalty=0.5)}),
    ("seed", Field.SEED, {"sampling": Sampling(seed=1)}),
    ("stop", Field.STOP, {"sampling": Sampling(stop=("###",))}),
    ("logprobs", Field.LOGPROBS, {"sampling": Sampling(logprobs=True)}),
    ("top_logprobs", Field.TOP_LOGPROBS, {"sampling": Sampling(logprobs=True, top_logprobs=2)}),
    ("logit_bias", Field.LOGIT_BIAS, {"sampling": Sampling(logit_bias={"1": 1.0})}),
    ("max_tokens", Field.MAX_OUTPUT_TOKENS, {"max_output_tokens": 4096}),
    ("tool_choice", Field.TOOL_CHOICE, {"tools": (_TOOL,), "tool_choice": ToolChoice(mode=ChoiceMode.REQUIRED)}),
    ("parallel_tool_calls", Field.PARALLEL_TOOL_CALLS, {"tools": (_TOOL,), "parallel_tool_calls": False}),
    ("reasoning_effort", Field.REASONING, {"reasoning": Reasoning(effort="high"), "max_output_tokens": 32_000}),
    ("verbosity", Field.VERBOSITY, {"verbosity": "low"}),
)  # fmt: skip


def parameters(faces: ChatFaces, model: str, traits: Traits) -> frozenset[str]:
    """The members that reach a model behind these faces."""
    found = {"tools"}
    for word, field, said in _PROBES:
        if is_carried(faces, _request(model, said), field, traits):
            found.add(word)
    if traits.json_schema is not Support.REFUSED:
        found |= {"response_format", "structured_outputs"}
    elif traits.json_object is not Support.REFUSED:
        found.add("response_format")
    if traits.thinking is Thinking.NONE:
        found.discard("reasoning_effort")
    if "reasoning_effort" in found:
        found |= {"reasoning", "include_reasoning"}
    return frozenset(found)


def takes_pictures(faces: ChatFaces, model: str, traits: Traits) -> bool | None:
    """False where no picture can be sent. Whether one is seen, only the model's maker knows: None."""
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data=_PIXEL)
    request = _request(model, {}, picture)
    return None if is_carried(faces, request, Field.MEDIA, traits) else False


def is_carried(faces: ChatFaces, request: ModelRequest, field: Field, traits: Traits) -> bool:
    """Whether a request can be written with nothing lost of one field."""
    try:
        written = faces.write_request(request, traits)
    except GatewayError:
        return False
    return all(loss.field is not field for loss in written.losses)


def _request(model: str, said: dict[str, Any], *parts: Part) -> ModelRequest:
    plain = ModelRequest(model=model, messages=(Message(role=Role.USER, parts=(*parts, _QUESTION)),))
    return msgspec.structs.replace(plain, **said)
