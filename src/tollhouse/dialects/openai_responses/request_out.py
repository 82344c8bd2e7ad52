"""A request for an upstream that speaks this dialect.

What stays from turn to turn stands first, the conversation last. Nothing is kept at the provider unless the caller
wishes it: what a model has to know of its earlier reasoning travels encrypted instead.

Source: OpenAI's API reference, "Create a model response", and the guide "Reasoning models" (encrypted reasoning items),
in the types and docstrings of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tollhouse.core.content import Role, Thinking
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import Field, FormatKind, ModelRequest, OutputFormat, Reasoning
from tollhouse.dialects.ground_family.efforts import effort_of, nearest
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports import provider
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Written

from .items_out import ItemWriter
from .request_in import ENCRYPTED_REASONING, LOGPROBS
from .tools import write_choice, write_tools

_SUMMARIES: Final = ("auto", "concise", "detailed")


def write_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.ChatFaces.write_request.

    Raises: GatewayError `invalid_request` for what is nested too deeply to be written.
    """
    losses = Losses(traits)
    body: dict[str, Any] = {"model": request.model}
    if request.stream:
        body["stream"] = True
    body |= {name: value for name, value in _members(request, traits, losses) if value is not None}
    _note_unsaid(request, losses)
    instructions = [text.text for text in request.instructions if text.text]
    if any(text.cache is not None for text in request.instructions):
        losses.add(Field.CACHE_MARKS)
    if any(text.citations for text in request.instructions):
        losses.add(Field.CITATIONS)
    writer = ItemWriter(traits, losses)
    for message in request.messages:
        writer.write(message)
    if instructions and writer.items:
        body["instructions"] = "\n\n".join(instructions)
    elif instructions:
        # A call needs an input: without a conversation the instructions are it.
        writer.items.append(
            {"type": "message", "role": Role.DEVELOPER.value, "content": "\n\n".join(instructions)}
        )
    body["input"] = writer.items
    try:
        return Written(body=encode_loosely(body), losses=losses.all())
    except RecursionError:
        raise invalid_request("The request is nested too deeply.", hint="Nest it less.") from None


def _members(request: ModelRequest, traits: Traits, losses: Losses) -> Iterator[tuple[str, Any]]:
    """Everything but the conversation, by the upstream's names, in the order it is written."""
    lacks = traits.unsupported

    def told(field: Field, value: Any) -> Any:
        """The value, or None and a loss where the upstream refuses it."""
        return value if value is None or losses.takes(field) else None

    tools = write_tools(request.tools, traits, losses)
    yield "tools", tools or None
    choice = write_choice(request.tool_choice, request.tools, traits, losses)
    yield "tool_choice", told(Field.TOOL_CHOICE, choice) if tools else None
    parallel = told(Field.PARALLEL_TOOL_CALLS, request.parallel_tool_calls)
    yield "parallel_tool_calls", parallel
    sampling = request.sampling
    yield "temperature", told(Field.TEMPERATURE, sampling.temperature)
    yield "top_p", told(Field.TOP_P, sampling.top_p)
    yield "top_logprobs", told(Field.TOP_LOGPROBS, sampling.top_logprobs)
    yield "max_output_tokens", told(Field.MAX_OUTPUT_TOKENS, request.max_output_tokens)
    reasoning = _reasoning(request.reasoning, traits, losses)
    yield "reasoning", reasoning
    text: dict[str, Any] = {}
    if request.output is not None and Field.OUTPUT_FORMAT in lacks:
        losses.add(Field.OUTPUT_FORMAT, is_vital=True, why="The upstream answers in plain text only.")
    elif request.output is not None:
        text["format"] = _format(request.output)
    verbosity = told(Field.VERBOSITY, request.verbosity)
    if verbosity is not None:
        text["verbosity"] = verbosity
    yield "text", text or None
    yield "include", _include(request, reasoning, traits, losses) or None
    yield "metadata", told(Field.METADATA, request.metadata)
    yield "user", told(Field.END_USER, request.end_user)
    yield "service_tier", told(Field.SERVICE_TIER, request.service_tier)
    yield "prompt_cache_key", told(Field.PROMPT_CACHE_KEY, request.prompt_cache_key)
    yield "prompt_cache_retention", told(Field.PROMPT_CACHE_RETENTION, request.prompt_cache_retention)
    yield (
        "store",
        told(Field.STORE, request.store is True) if request.store or Field.STORE not in lacks else None,
    )


def _format(output: OutputFormat) -> dict[str, Any]:
    if output.kind is not FormatKind.JSON_SCHEMA:
        return {"type": output.kind.value}
    form: dict[str, Any] = {"type": "json_schema", "name": output.name or "answer"}
    if output.description is not None:
        form["description"] = output.description
    if output.strict is not None:
        form["strict"] = output.strict
    form["schema"] = output.schema
    return form


def _include(
    request: ModelRequest, reasoning: dict[str, Any] | None, traits: Traits, losses: Losses
) -> list[str]:
    shown = []
    thinks = request.wants_encrypted_reasoning or reasoning is not None or _has_thought(request, traits)
    is_off = reasoning is not None and reasoning.get("effort") == "none"
    if thinks and not is_off and request.store is not True and traits.thinking is not provider.Thinking.NONE:
        shown.append(ENCRYPTED_REASONING)
    if request.sampling.logprobs:
        if Field.LOGPROBS in traits.unsupported:
            losses.add(Field.LOGPROBS)
        else:
            shown.append(LOGPROBS)
    return shown


def _has_thought(request: ModelRequest, traits: Traits) -> bool:
    """Whether the upstream has reasoned in this conversation before."""
    return any(
        isinstance(part, Thinking) and part.signature is not None and part.signature.issuer == traits.issuer
        for message in request.messages
        for part in message.parts
    )


def _reasoning(reasoning: Reasoning | None, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    if reasoning is None:
        return None
    effort, summary = _effort(reasoning, traits), reasoning.summary
    is_refused = traits.thinking is provider.Thinking.NONE or Field.REASONING in traits.unsupported
    if is_refused and (effort is not None or reasoning.is_enabled or reasoning.budget_tokens):
        losses.add(Field.REASONING)
    written: dict[str, Any] = {}
    is_off = reasoning.is_enabled is False or reasoning.effort == "none"
    if is_off and not is_refused and effort != "none":
        losses.add(Field.REASONING, why="The upstream's model cannot be told not to think.")
    if effort is not None and not is_refused:
        written["effort"] = effort
    if summary in _SUMMARIES and not is_refused and Field.REASONING_SUMMARY not in traits.unsupported:
        written["summary"] = summary
    elif summary is not None and summary != "none":
        losses.add(Field.REASONING_SUMMARY)
    return written or None


def _effort(reasoning: Reasoning, traits: Traits) -> str | None:
    """The wish in one of the words the upstream takes; None to leave it to the model."""
    wanted = reasoning.effort
    if reasoning.is_enabled is False:
        wanted = "none"
    if wanted is None and reasoning.budget_tokens is not None:
        wanted = effort_of(reasoning.budget_tokens)
    if wanted is None and reasoning.is_enabled:
        wanted = "medium"
    return wanted and nearest(wanted, traits.efforts, rounds_up=True)


def _note_unsaid(request: ModelRequest, losses: Losses) -> None:
    """What this API has no member for."""
    sampling = request.sampling
    unsaid = (
        (Field.TOP_K, sampling.top_k),
        (Field.FREQUENCY_PENALTY, sampling.frequency_penalty),
        (Field.PRESENCE_PENALTY, sampling.presence_penalty),
        (Field.SEED, sampling.seed),
        (Field.STOP, sampling.stop or None),
        (Field.LOGIT_BIAS, sampling.logit_bias or None),
        (Field.CACHE_MARKS, request.cache),
    )
    for field, value in unsaid:
        if value is not None:
            losses.add(field)
    if sampling.n is not None and sampling.n > 1:
        losses.add(Field.N, is_vital=True, why="The Responses API gives one answer to each call.")
    others = [kind for kind in request.modalities if kind != "text"]
    if others:
        losses.add(
            Field.MODALITIES,
            is_vital=True,
            why=f"The Responses API does not answer in {', '.join(others)}.",
        )
