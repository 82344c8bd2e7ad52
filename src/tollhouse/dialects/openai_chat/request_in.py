"""Requests of callers, for upstreams of other dialects."""

from __future__ import annotations

from typing import Any

from tollhouse.core.request import FormatKind, ModelRequest, OutputFormat, Reasoning
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.efforts import EFFORTS
from tollhouse.dialects.openai_family.sampling import ignore_stream_members, read_end_user, read_sampling
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .content_in import take_cache
from .messages_in import Conversation
from .tools_in import read_choice, read_tools


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request."""
    leftovers = Leftovers()
    with told_to_callers():
        request = _request(Fields(decoded(call.body), "", leftovers), call)
    return request, leftovers.paths()


def _request(fields: Fields, call: ClientCall) -> ModelRequest:
    ignore_stream_members(fields)
    fields.ignore_if("store", False)  # noqa: FBT003 - the value
    fields.ignore_if("logprobs", False)  # noqa: FBT003 - the value
    conversation = Conversation()
    conversation.read(fields.take_each("messages"))
    parallel = fields.take_flag("parallel_tool_calls")
    if parallel is None and "functions" in fields:
        parallel = False  # there is room for one legacy call in an answer
    return ModelRequest(
        model=call.model,
        messages=tuple(conversation.messages),
        instructions=tuple(conversation.instructions),
        tools=read_tools(fields),
        tool_choice=read_choice(fields),
        parallel_tool_calls=parallel,
        sampling=read_sampling(
            fields,
            logprobs=fields.take_flag("logprobs"),
            top_logprobs=fields.take_integer("top_logprobs"),
        ),
        output=_output(fields),
        reasoning=_reasoning(fields),
        verbosity=fields.take_text("verbosity"),
        max_output_tokens=_limit(fields),
        stream=call.is_stream,
        end_user=read_end_user(fields),
        metadata=_metadata(fields),
        service_tier=fields.take_text("service_tier"),
        prompt_cache_key=fields.take_text("prompt_cache_key"),
        prompt_cache_retention=fields.take_text("prompt_cache_retention"),
        cache=take_cache(fields),
        modalities=_modalities(fields),
        store=fields.take_flag("store"),
    )


def _limit(fields: Fields) -> int | None:
    """The newer name counts; the older one is left over where it says something else."""
    limit = fields.take_integer("max_completion_tokens")
    if limit is None:
        return fields.take_integer("max_tokens")
    fields.ignore_if("max_tokens", limit)
    return limit


def _metadata(fields: Fields) -> dict[str, str] | None:
    """Texts by name; what some put there beside is left over as a whole."""
    metadata = fields.peek("metadata")
    if isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values()):
        return fields.take_dict("metadata") or None
    return None


def _modalities(fields: Fields) -> tuple[str, ...]:
    words = fields.take_list("modalities") or []
    if not all(isinstance(word, str) for word in words):
        raise WrongType(fields.of("modalities"), "a list of strings")
    wanted = tuple([word.lower() for word in words])
    return wanted if wanted != ("text",) else ()


def _output(fields: Fields) -> OutputFormat | None:
    form = fields.take_fields("response_format")
    if form is None:
        return None
    kind = form.peek("type")
    if kind == "text":
        form.take("type")
        return None
    if kind == "json_object":
        form.take("type")
        return OutputFormat(kind=FormatKind.JSON_OBJECT)
    if kind != "json_schema":
        return None  # and left over
    form.take("type")
    described = form.take_fields("json_schema")
    if described is None:
        raise WrongType(form.of("json_schema"), "an object")
    return OutputFormat(
        kind=FormatKind.JSON_SCHEMA,
        name=described.take_text("name"),
        description=described.take_text("description"),
        schema=described.take("schema") if "schema" in described else {"type": "object"},
        strict=described.take_flag("strict"),
    )


class _Wish:
    """What several members together say about thinking; the first that says something counts."""

    __slots__ = ("budget", "effort", "is_enabled", "summary")

    def __init__(self) -> None:
        self.is_enabled: bool | None = None
        self.effort: str | None = None
        self.budget: int | None = None
        self.summary: str | None = None

    def set_effort(self, effort: str | None, path: str) -> None:
        if effort is None:
            return
        if effort == "default":  # Groq's word for its own choice
            self.is_enabled = True
            return
        if effort not in EFFORTS:
            raise WrongType(path, f"one of {', '.join(EFFORTS)}")
        self.effort = self.effort or effort
        if effort == "none":
            self.is_enabled = False

    def as_reasoning(self) -> Reasoning | None:
        wish = Reasoning(
            is_enabled=self.is_enabled,
            effort=self.effort,
            budget_tokens=self.budget,
            summary=self.summary,
        )
        return wish if wish != Reasoning() else None


def _reasoning(fields: Fields) -> Reasoning | None:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, `thinking` (DeepSeek, Z.ai, LiteLLM), Qwen's
    `enable_thinking` and `thinking_budget`."""
    wish = _Wish()
    wish.set_effort(fields.take_text("reasoning_effort"), "reasoning_effort")
    _reasoning_object(fields, wish)
    _thinking_object(fields, wish)
    if "enable_thinking" in fields:
        wish.is_enabled = fields.take_flag("enable_thinking")
    if "thinking_budget" in fields:
        wish.budget = fields.take_integer("thinking_budget")
    return wish.as_reasoning()


def _reasoning_object(fields: Fields, wish: _Wish) -> None:
    reasoning = fields.take_fields("reasoning")
    if reasoning is None:
        return
    if "enabled" in reasoning:
        wish.is_enabled = reasoning.take_flag("enabled")
    wish.set_effort(reasoning.take_text("effort"), reasoning.of("effort"))
    wish.budget = reasoning.take_integer("max_tokens")
    wish.summary = reasoning.take_text("summary")
    if reasoning.take_flag("exclude"):
        wish.summary = "none"


def _thinking_object(fields: Fields, wish: _Wish) -> None:
    thinking = fields.take_fields("thinking")
    if thinking is None:
        return
    kind: Any = thinking.peek("type")
    if kind in ("enabled", "adaptive", "disabled"):
        thinking.take("type")
        wish.is_enabled = kind != "disabled"
    budget = thinking.take_integer("budget_tokens")
    wish.budget = budget if budget is not None else wish.budget
