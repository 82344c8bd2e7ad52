"""Completions towards models that converse. Implements the inbound half of ports.translation.ChatFaces.

There is no outbound half: callers of other dialects converse, and no conversation fits into a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EventReader, EventWriter, Scene, Written

from .request_in import read_request, unsupported
from .response_out import CompletionsWriter, write_response

_WORDS: Final[Mapping[Field, str]] = {
    Field.TEMPERATURE: "temperature",
    Field.TOP_P: "top_p",
    Field.TOP_K: "top_k",
    Field.FREQUENCY_PENALTY: "frequency_penalty",
    Field.PRESENCE_PENALTY: "presence_penalty",
    Field.SEED: "seed",
    Field.STOP: "stop",
    Field.N: "n",
    Field.LOGPROBS: "logprobs",
    Field.TOP_LOGPROBS: "logprobs",
    Field.LOGIT_BIAS: "logit_bias",
    Field.MAX_OUTPUT_TOKENS: "max_tokens",
    Field.END_USER: "user",
}
_ONE_WAY: Final = "A conversation cannot be put to a completions endpoint."


class CompletionsFaces:
    """One face and no state."""

    words: Mapping[Field, str] = _WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:
        return CompletionsWriter(call, scene)

    # -- what is not there

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:  # noqa: ARG002 - the port's
        raise unsupported(_ONE_WAY, None)

    def read_response(self, body: bytes) -> ModelResponse:  # noqa: ARG002 - the port's
        raise unsupported(_ONE_WAY, None)

    def read_stream(self) -> EventReader:
        raise unsupported(_ONE_WAY, None)
