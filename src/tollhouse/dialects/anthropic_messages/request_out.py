"""Requests for upstreams: what stays from turn to turn first, the conversation last.

Anthropic caches what comes first, tools before `system` before `messages`, whatever the order in the body; servers
that cache by the bytes see the same order.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.request import Field, FormatKind, ModelRequest
from tollhouse.dialects.ground_family.bad_input import told_to_callers
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Support, Traits
from tollhouse.ports.translation import Written

from .conversation_out import Conversation, conversation
from .marks import mark_out
from .schemas import closed
from .thinking_out import Obstacles, Plan, plan
from .tools_out import choice_out, tools_out

_LIMIT: Final = 4096
"""Of the answer, where neither the caller nor the provider's data names one: every Claude can write as much."""
_LEAST_TOP_P: Final = 0.95
"""With thinking (extended thinking guide, "Feature compatibility")."""
_TIERS: Final = {"auto": "auto", "default": "standard_only"}


def write_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.ChatFaces.write_request."""
    return _written(request, traits, is_count=False)


def write_count_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.CountFaces.write_request: only what is counted."""
    return _written(request, traits, is_count=True)


def _written(request: ModelRequest, traits: Traits, *, is_count: bool) -> Written:
    losses = Losses(traits)
    with told_to_callers():
        talk = conversation(request, traits, losses)
        tools = tools_out(request, traits, losses)
        choice = choice_out(request, traits, losses, has_tools=bool(tools))
        plan_ = _plan(request, traits, losses, talk, choice)
        body: dict[str, Any] = {"model": request.model}
        if not is_count:
            body |= _limits(request, plan_, losses)
        body |= _thinking(request, traits, plan_, losses)
        if tools:
            body["tools"] = tools
        if choice is not None:
            body["tool_choice"] = choice
        if request.cache is not None and losses.takes(Field.CACHE_MARKS):
            body["cache_control"] = mark_out(request.cache)
        if talk.system:
            body["system"] = talk.system
        body["messages"] = talk.messages
        encoded_body = encode_loosely(body)
    return Written(body=encoded_body, losses=losses.all())


def _plan(
    request: ModelRequest,
    traits: Traits,
    losses: Losses,
    talk: Conversation,
    choice: dict[str, Any] | None,
) -> Plan:
    obstacles = Obstacles(
        is_forced=choice is not None and choice["type"] in ("any", "tool"),
        is_prefilled=talk.is_prefilled,
        lacks_reasoning=talk.lacks_reasoning,
    )
    return plan(request, traits, losses, obstacles, fallback_limit=_LIMIT)


def _thinking(request: ModelRequest, traits: Traits, plan_: Plan, losses: Losses) -> dict[str, Any]:
    """`thinking` and `output_config`."""
    body: dict[str, Any] = {}
    if plan_.thinking is not None:
        body["thinking"] = plan_.thinking
    config: dict[str, Any] = {}
    if plan_.effort is not None:
        config["effort"] = plan_.effort
    output = request.output
    if output is not None and output.kind is not FormatKind.TEXT:
        if output.kind is FormatKind.JSON_SCHEMA and traits.json_schema is Support.NATIVE:
            if losses.takes(Field.OUTPUT_FORMAT):
                config["format"] = {"type": "json_schema", "schema": closed(output.schema)}
        else:
            why = f"The upstream has no output format `{output.kind.value}`."
            losses.add(Field.OUTPUT_FORMAT, why, is_vital=True)
    if config:
        body["output_config"] = config
    return body


# -- what does not count as input


def _limits(request: ModelRequest, plan_: Plan, losses: Losses) -> dict[str, Any]:
    body: dict[str, Any] = {"max_tokens": plan_.max_tokens}
    if request.stream:
        body["stream"] = True
    body |= _sampling(request, losses, thinks=plan_.is_on)
    if request.end_user is not None and losses.takes(Field.END_USER):
        body["metadata"] = {"user_id": request.end_user}
    tier = request.service_tier
    if tier is not None and losses.takes(Field.SERVICE_TIER):
        if tier in _TIERS:
            body["service_tier"] = _TIERS[tier]
        else:
            losses.add(Field.SERVICE_TIER)
    _note_the_rest(request, losses)
    return body


def _sampling(request: ModelRequest, losses: Losses, *, thinks: bool) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {}
    temperature = sampling.temperature
    if temperature is not None and losses.takes(Field.TEMPERATURE):
        if temperature > 1:
            losses.add(Field.TEMPERATURE, "Claude's temperature ends at 1.")
            temperature = 1.0
        if not thinks or temperature == 1:
            body["temperature"] = temperature
        else:
            losses.add(Field.TEMPERATURE, "Claude thinks at temperature 1 only.")
    body |= _top_p(sampling.top_p, losses, thinks=thinks, is_second="temperature" in body)
    if sampling.top_k is not None and losses.takes(Field.TOP_K):
        if thinks:
            losses.add(Field.TOP_K, "Claude does not think with top_k.")
        else:
            body["top_k"] = sampling.top_k
    if sampling.stop and losses.takes(Field.STOP):
        stops = [text for text in sampling.stop if text.strip()]
        if len(stops) < len(sampling.stop):
            losses.add(Field.STOP, "Claude takes no stop text that is all white space.")
        if stops:
            body["stop_sequences"] = stops
    return body


def _top_p(top_p: float | None, losses: Losses, *, thinks: bool, is_second: bool) -> dict[str, float]:
    if top_p is None or not losses.takes(Field.TOP_P):
        return {}
    if is_second:
        # Models since Claude Opus 4.1 refuse both at once; 1 changes nothing.
        if top_p != 1:
            losses.add(Field.TOP_P, "Newer Claude models take either temperature or top_p.")
        return {}
    if thinks and top_p < _LEAST_TOP_P:
        losses.add(Field.TOP_P, f"Claude does not think with top_p below {_LEAST_TOP_P}.")
        return {}
    return {"top_p": top_p}


def _note_the_rest(request: ModelRequest, losses: Losses) -> None:
    """What the dialect has no word for."""
    sampling = request.sampling
    absent = {
        Field.FREQUENCY_PENALTY: sampling.frequency_penalty,
        Field.PRESENCE_PENALTY: sampling.presence_penalty,
        Field.LOGPROBS: sampling.logprobs,
        Field.TOP_LOGPROBS: sampling.top_logprobs,
        Field.LOGIT_BIAS: sampling.logit_bias,
        Field.METADATA: request.metadata,
        Field.PROMPT_CACHE_KEY: request.prompt_cache_key,
        Field.PROMPT_CACHE_RETENTION: request.prompt_cache_retention,
        Field.VERBOSITY: request.verbosity,
        Field.STORE: request.store,
    }
    for field, value in absent.items():
        if value:
            losses.add(field)
    if sampling.seed is not None:
        losses.add(Field.SEED)
    if sampling.n is not None and sampling.n > 1:
        losses.add(Field.N, "The Messages API gives one answer at a time.", is_vital=True)
    others = [kind for kind in request.modalities if kind != "text"]
    if others:
        losses.add(Field.MODALITIES, f"Claude answers in text, not in {others[0]}.", is_vital=True)
