"""Towards callers and upstreams of other dialects. Implements ports.translation.ChatFaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EventReader, EventWriter, Scene, Written

from . import request_in, request_out, response_in, response_out
from .stream_in import ResponsesReader
from .stream_out import ResponsesWriter

WORDS: Final[Mapping[Field, str]] = {
    Field.TEMPERATURE: "temperature",
    Field.TOP_P: "top_p",
    Field.LOGPROBS: "include",
    Field.TOP_LOGPROBS: "top_logprobs",
    Field.MAX_OUTPUT_TOKENS: "max_output_tokens",
    Field.END_USER: "safety_identifier",
    Field.METADATA: "metadata",
    Field.SERVICE_TIER: "service_tier",
    Field.PROMPT_CACHE_KEY: "prompt_cache_key",
    Field.PROMPT_CACHE_RETENTION: "prompt_cache_retention",
    Field.CACHE_MARKS: "prompt_cache_breakpoint",
    Field.VERBOSITY: "text.verbosity",
    Field.REASONING: "reasoning.effort",
    Field.REASONING_SUMMARY: "reasoning.summary",
    Field.THINKING_PARTS: "input[].reasoning",
    Field.OUTPUT_FORMAT: "text.format",
    Field.STRICT_TOOLS: "tools[].strict",
    Field.PARALLEL_TOOL_CALLS: "parallel_tool_calls",
    Field.TOOL_CHOICE: "tool_choice",
    Field.CUSTOM_TOOL_GRAMMAR: "tools[].format",
    Field.SERVER_TOOLS: "tools",
    Field.IMAGE_DETAIL: "input[].content[].detail",
    Field.MEDIA: "input[].content",
    Field.MEDIA_NAMES: "input[].content[].filename",
    Field.CITATIONS: "input[].content[].annotations",
    Field.OPAQUE_PARTS: "input",
    Field.STORE: "store",
    Field.TRUNCATION: "truncation",
}


class ResponsesFaces:
    """Conversations in this dialect."""

    __slots__ = ("words",)

    def __init__(self) -> None:
        self.words: Mapping[Field, str] = WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return request_in.read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
        return response_out.write_response(response, call, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:
        return ResponsesWriter(call, scene)

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return request_out.write_request(request, traits)

    def read_response(self, body: bytes) -> ModelResponse:
        return response_in.read_response(body)

    def read_stream(self) -> EventReader:
        return ResponsesReader()
