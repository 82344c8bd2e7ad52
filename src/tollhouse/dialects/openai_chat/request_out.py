"""Requests for upstreams: what stays from turn to turn first, the conversation last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tollhouse.core.errors import invalid_request
from tollhouse.core.request import Field, FormatKind, ModelRequest, OutputFormat, Reasoning
from tollhouse.dialects.ground_family.efforts import budget_of, effort_of, nearest
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking, Traits
from tollhouse.ports.translation import Written

from .messages_out import write_messages
from .tools_out import cache_member, tool_members

_TIERS: Final = frozenset(["auto", "default", "flex", "scale", "priority", "fast"])
_MODALITIES: Final = frozenset(["text", "audio"])


def write_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.ChatFaces.write_request.

    Raises: GatewayError `invalid_request` for what is nested too deeply to be written.
    """
    losses = Losses(traits)
    body: dict[str, Any] = {"model": request.model}
    if request.stream:
        body["stream"] = True
        if traits.takes_stream_options:
            body["stream_options"] = {"include_usage": True}
    body |= _plain_members(request, losses)
    body |= _reasoning(request.reasoning, losses)
    body |= tool_members(request, losses)
    body |= _output(request.output, losses)
    body |= cache_member(request, losses)
    body["messages"] = write_messages(request, losses)
    try:
        return Written(body=encode_loosely(body), losses=losses.all())
    except RecursionError:
        raise invalid_request("The request is nested too deeply.", hint="Nest it less.") from None


def _plain_members(request: ModelRequest, losses: Losses) -> dict[str, Any]:
    """Members that are written as they are."""
    traits, sampling = losses.traits, request.sampling
    told = (
        (Field.MAX_OUTPUT_TOKENS, traits.output_limit_field, request.max_output_tokens),
        (Field.TEMPERATURE, "temperature", sampling.temperature),
        (Field.TOP_P, "top_p", sampling.top_p),
        (Field.TOP_K, "top_k", sampling.top_k),
        (Field.FREQUENCY_PENALTY, "frequency_penalty", sampling.frequency_penalty),
        (Field.PRESENCE_PENALTY, "presence_penalty", sampling.presence_penalty),
        (Field.SEED, traits.seed_field, sampling.seed),
        (Field.STOP, "stop", list(sampling.stop) or None),
        (Field.N, "n", sampling.n),
        (Field.LOGPROBS, "logprobs", sampling.logprobs),
        (Field.TOP_LOGPROBS, "top_logprobs", sampling.top_logprobs),
        (Field.LOGIT_BIAS, "logit_bias", sampling.logit_bias),
        (Field.MODALITIES, "modalities", list(request.modalities) or None),
        (Field.VERBOSITY, "verbosity", request.verbosity),
        (Field.SERVICE_TIER, "service_tier", request.service_tier),
        (Field.END_USER, "user", request.end_user),
        (Field.STORE, "store", request.store),
        (Field.METADATA, "metadata", request.metadata),
        (Field.PROMPT_CACHE_KEY, "prompt_cache_key", request.prompt_cache_key),
        (Field.PROMPT_CACHE_RETENTION, "prompt_cache_retention", request.prompt_cache_retention),
    )
    return {
        name: value
        for field, name, value in told
        if value is not None and losses.takes(field) and _fits(field, request, losses)
    }


def _fits(field: Field, request: ModelRequest, losses: Losses) -> bool:
    """What the inventor refuses, whatever the model (API reference, "Chat", 2026-11-24)."""
    if field is Field.TOP_K and losses.traits.issuer == "openai":
        losses.add(field, "OpenAI's models know no top_k.")
        return False
    if field is Field.SERVICE_TIER and request.service_tier not in _TIERS:
        losses.add(field, "Chat completions have no such service tier.")
        return False
    if (
        field is Field.MODALITIES
        and losses.traits.issuer == "openai"
        and set(request.modalities) - _MODALITIES
    ):
        losses.add(field, "OpenAI's models answer in text and sound.", is_vital=True)
        return False
    if field is Field.METADATA and not request.store:
        losses.add(field, "Chat completions take metadata only when they are stored.")
        return False
    return True


# -- thinking


def _reasoning(wish: Reasoning | None, losses: Losses) -> dict[str, Any]:
    if wish is None:
        return {}
    style = losses.traits.thinking
    if wish.summary is not None and wish.summary != "none" and style is not Thinking.OBJECT:
        losses.add(Field.REASONING_SUMMARY, "Chat completions have no word for summaries of reasoning.")
    if style is not Thinking.OBJECT and (wish.is_enabled, wish.effort, wish.budget_tokens) == (
        None,
        None,
        None,
    ):
        return {}
    return _STYLES[style](wish, losses) if losses.takes(Field.REASONING) else {}


def _is_off(wish: Reasoning) -> bool:
    return wish.is_enabled is False or wish.effort == "none"


def _meant(wish: Reasoning) -> str:
    """The effort a wish comes to."""
    if _is_off(wish):
        return "none"
    if wish.effort is not None:
        return wish.effort
    if wish.budget_tokens is not None:
        return effort_of(wish.budget_tokens)
    return "medium"


def _nothing(wish: Reasoning, losses: Losses) -> dict[str, Any]:
    if not _is_off(wish):
        losses.add(Field.REASONING, "The upstream's model cannot be told to think.")
    return {}


def _effort(wish: Reasoning, losses: Losses) -> dict[str, Any]:
    meant = _meant(wish)
    word = nearest(meant, losses.traits.efforts, rounds_up=True)
    if word is None:
        losses.add(Field.REASONING, "The upstream takes no word for how much to think.")
        return {}
    if meant == "none" and word != "none":
        losses.add(Field.REASONING, "The upstream's model cannot be told not to think.")
    return {"reasoning_effort": word}


def _object(wish: Reasoning, losses: Losses) -> dict[str, Any]:
    """OpenRouter's: effort or budget, not both (https://openrouter.ai/docs/use-cases/reasoning-tokens, 2026-11-25)."""
    told: dict[str, Any] = {}
    if _is_off(wish):
        told["enabled"] = False
    elif wish.effort is not None:
        told["effort"] = nearest(wish.effort, losses.traits.efforts, rounds_up=True) or wish.effort
    elif wish.budget_tokens is not None:
        told["max_tokens"] = wish.budget_tokens
    elif wish.is_enabled:
        told["enabled"] = True
    if wish.summary == "none":
        told["exclude"] = True
    elif wish.summary is not None and losses.takes(Field.REASONING_SUMMARY):
        told["summary"] = wish.summary
    return {"reasoning": told} if told else {}


def _switch(wish: Reasoning, losses: Losses) -> dict[str, Any]:
    if not _is_off(wish) and (wish.effort is not None or wish.budget_tokens is not None):
        losses.add(Field.REASONING, "The upstream can be told whether to think, and not how much.")
    return {"thinking": {"type": "disabled" if _is_off(wish) else "enabled"}}


def _budget(wish: Reasoning, losses: Losses) -> dict[str, Any]:  # noqa: ARG001 - all styles are called alike
    if _is_off(wish):
        return {"thinking": {"type": "disabled"}}
    budget = wish.budget_tokens
    if budget is None:
        budget = budget_of(wish.effort)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


_STYLES: Final[dict[Thinking, Callable[[Reasoning, Losses], dict[str, Any]]]] = {
    Thinking.NONE: _nothing,
    Thinking.EFFORT: _effort,
    Thinking.ADAPTIVE: _effort,
    Thinking.LEVEL: _effort,
    Thinking.OBJECT: _object,
    Thinking.SWITCH: _switch,
    Thinking.BUDGET: _budget,
}


# -- the answer's form


def _output(output: OutputFormat | None, losses: Losses) -> dict[str, Any]:
    if output is None or output.kind is FormatKind.TEXT or not losses.takes(Field.OUTPUT_FORMAT):
        return {}
    if output.kind is FormatKind.JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    described: dict[str, Any] = {"name": output.name or "answer"}
    if output.description is not None:
        described["description"] = output.description
    described["schema"] = output.schema
    if output.strict is not None:
        described["strict"] = output.strict
    return {"response_format": {"type": "json_schema", "json_schema": described}}
