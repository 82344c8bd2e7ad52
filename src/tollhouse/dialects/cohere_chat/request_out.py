"""Requests for Cohere, written. What stays from turn to turn stands first, the conversation last."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    ServerTool,
    Tool,
)
from tollhouse.dialects.ground_family.efforts import budget_of
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking, Traits
from tollhouse.ports.translation import Written

from .messages_out import Messages

_NO_ARGUMENTS: Final = {"type": "object", "properties": {}}
_LEAST_P: Final = 0.01
_MOST_P: Final = 0.99
"""Where `p` may lie: 1 in other APIs cuts nothing off, and neither does 0.99 here worth speaking of."""
_MOST_K: Final = 500
_MOST_PENALTY: Final = 1.0
_LIMITED: Final = ("minimal", "low", "medium")
"""Efforts that are worth a number of tokens; what asks for more is not limited."""


def write_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.ChatFaces.write_request."""
    return _Writer(request, traits).written()


class _Writer:
    """One request on its way."""

    __slots__ = ("_body", "_losses", "_request", "_traits")

    def __init__(self, request: ModelRequest, traits: Traits) -> None:
        self._request = request
        self._traits = traits
        self._losses = Losses(traits)
        self._body: dict[str, Any] = {"model": request.model}

    def written(self) -> Written:
        if self._request.stream:
            self._body["stream"] = True
        self._tools()
        self._sampling()
        self._output()
        self._reasoning()
        self._what_cohere_has_not()
        self._messages()
        try:
            body = encode_loosely(self._body)
        except RecursionError:
            raise _too_deep() from None
        return Written(body=body, losses=self._losses.all())

    def _put(self, field: Field, name: str, value: Any) -> None:
        """A member, if it was said and the upstream takes it."""
        if value is None or value == ():
            return
        if self._losses.takes(field):
            self._body[name] = value

    # -- tools

    def _tools(self) -> None:
        request = self._request
        tools = [tool for tool in request.tools if isinstance(tool, Tool)]
        for server_tool in request.tools:
            if isinstance(server_tool, ServerTool):
                why = f"The tool '{server_tool.name}' is run by another provider."
                self._losses.add(Field.SERVER_TOOLS, why, is_vital=True)
                if server_tool.cache is not None:
                    self._losses.add(Field.CACHE_MARKS)
        choice = request.tool_choice
        if choice is not None and choice.names:
            # There is no naming a tool; offering no other comes to the same.
            chosen = [tool for tool in tools if tool.name in choice.names]
            if chosen:
                tools = chosen
            else:
                self._losses.add(
                    Field.TOOL_CHOICE, "The tool that was chosen is not there to be chosen.", is_vital=True
                )
                choice = None
        if tools:
            self._body["tools"] = [self._tool(tool) for tool in tools]
        self._strictness(tools)
        if choice is not None and choice.mode is not ChoiceMode.AUTO and tools:
            self._put(Field.TOOL_CHOICE, "tool_choice", choice.mode.value.upper())
        if request.parallel_tool_calls is not None:
            self._losses.add(Field.PARALLEL_TOOL_CALLS)

    def _tool(self, tool: Tool) -> dict[str, Any]:
        if tool.cache is not None:
            self._losses.add(Field.CACHE_MARKS)
        if tool.grammar is not None:
            self._losses.add(Field.CUSTOM_TOOL_GRAMMAR)
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        function["parameters"] = tool.schema if isinstance(tool.schema, dict) else _NO_ARGUMENTS
        return {"type": "function", "function": function}

    def _strictness(self, tools: list[Tool]) -> None:
        """One switch for all tools: on where all are strict."""
        if not any(tool.strict for tool in tools):
            return
        if self._traits.takes_strict_tools and all(tool.strict for tool in tools):
            self._put(Field.STRICT_TOOLS, "strict_tools", value=True)
        else:
            self._losses.add(Field.STRICT_TOOLS)

    # -- everything that is a number or a word

    def _sampling(self) -> None:
        sampling = self._request.sampling
        self._put(Field.MAX_OUTPUT_TOKENS, "max_tokens", self._request.max_output_tokens)
        self._put(Field.TEMPERATURE, "temperature", sampling.temperature)
        self._put(Field.TOP_P, "p", _within(sampling.top_p, _LEAST_P, _MOST_P))
        self._put(Field.TOP_K, "k", _within(sampling.top_k, 0, _MOST_K))
        self._penalty(Field.FREQUENCY_PENALTY, "frequency_penalty", sampling.frequency_penalty)
        self._penalty(Field.PRESENCE_PENALTY, "presence_penalty", sampling.presence_penalty)
        self._put(Field.SEED, "seed", sampling.seed)
        self._put(Field.STOP, "stop_sequences", sampling.stop)
        self._put(Field.LOGPROBS, "logprobs", sampling.logprobs)
        if sampling.top_logprobs is not None:
            self._losses.add(Field.TOP_LOGPROBS)
        if sampling.logit_bias is not None:
            self._losses.add(Field.LOGIT_BIAS)
        if sampling.n is not None and sampling.n > 1:
            self._losses.add(Field.N, "Cohere gives one answer to a request.", is_vital=True)

    def _penalty(self, field: Field, name: str, value: float | None) -> None:
        """From 0 to 1 here; elsewhere from -2 to 2, and what is beyond cannot be said."""
        if value is not None and not 0 <= value <= _MOST_PENALTY:
            self._losses.add(field)
        else:
            self._put(field, name, value)

    def _output(self) -> None:
        output = self._request.output
        if output is not None:
            self._put(Field.OUTPUT_FORMAT, "response_format", _format(output))

    def _reasoning(self) -> None:
        reasoning = self._request.reasoning
        if reasoning is None:
            return
        if reasoning.summary is not None:
            self._losses.add(Field.REASONING_SUMMARY)
        wish = _thinking(reasoning)
        if wish is not None and self._traits.thinking is Thinking.NONE:
            self._losses.add(Field.REASONING)
        else:
            self._put(Field.REASONING, "thinking", wish)

    def _what_cohere_has_not(self) -> None:
        request = self._request
        for field, value in (
            (Field.END_USER, request.end_user),
            (Field.METADATA, request.metadata),
            (Field.SERVICE_TIER, request.service_tier),
            (Field.PROMPT_CACHE_KEY, request.prompt_cache_key),
            (Field.PROMPT_CACHE_RETENTION, request.prompt_cache_retention),
            (Field.CACHE_MARKS, request.cache),
            (Field.VERBOSITY, request.verbosity),
            (Field.STORE, request.store or None),  # what is not to be kept is not
        ):
            if value is not None:
                self._losses.add(field)
        others = [kind for kind in request.modalities if kind != "text"]
        if others:
            self._losses.add(
                Field.MODALITIES, f"Cohere's answers are text, not {', '.join(others)}.", is_vital=True
            )

    # -- the conversation

    def _messages(self) -> None:
        messages = Messages(self._losses, self._traits)
        listed = messages.written(self._request.instructions, self._request.messages)
        if messages.documents:
            self._body["documents"] = messages.documents
            if not messages.wants_citations:
                self._body["citation_options"] = {"mode": "OFF"}
        self._body["messages"] = listed


def _format(output: OutputFormat) -> dict[str, Any]:
    match output.kind:
        case FormatKind.TEXT:
            return {"type": "text"}
        case FormatKind.JSON_SCHEMA if isinstance(output.schema, dict):
            return {"type": "json_object", "json_schema": output.schema}
        case _:
            return {"type": "json_object"}


def _thinking(reasoning: Reasoning) -> dict[str, Any] | None:
    """Cohere's `thinking`, or None where nothing was asked for."""
    if reasoning.is_enabled is False or reasoning.effort == "none" or reasoning.budget_tokens == 0:
        return {"type": "disabled"}
    budget = reasoning.budget_tokens
    if budget is None and reasoning.effort in _LIMITED:
        budget = budget_of(reasoning.effort)
    if budget is not None and budget > 0:
        return {"type": "enabled", "token_budget": budget}
    if reasoning.is_enabled or reasoning.effort is not None or budget is not None:
        return {"type": "enabled"}
    return None


def _within(value: float | None, least: float, most: float) -> float | None:
    return None if value is None else min(max(value, least), most)


def _too_deep() -> GatewayError:
    return invalid_request("The request is nested too deeply.", hint="Nest it less.")
