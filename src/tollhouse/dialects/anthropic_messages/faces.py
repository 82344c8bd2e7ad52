"""The dialect towards others: ports.translation.ChatFaces and CountFaces."""

from __future__ import annotations

from collections.abc import Mapping

from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EventReader, EventWriter, Scene, Written

from . import request_in, request_out, response_in, response_out
from .stream_in import MessagesReader
from .stream_out import MessagesWriter
from .vocabulary import WORDS


class MessagesChat:
    """Implements ports.translation.ChatFaces."""

    words: Mapping[Field, str] = WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return request_in.read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:  # noqa: ARG002
        return response_out.write_response(response, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:  # noqa: ARG002
        return MessagesWriter(scene)

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return request_out.write_request(request, traits)

    def read_response(self, body: bytes) -> ModelResponse:
        return response_in.read_response(body)

    def read_stream(self) -> EventReader:
        return MessagesReader()


class MessagesCounting:
    """Implements ports.translation.CountFaces."""

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return request_in.read_request(call)

    def write_count(self, input_tokens: int, call: ClientCall) -> bytes:  # noqa: ARG002
        return encode_loosely({"input_tokens": input_tokens})

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return request_out.write_count_request(request, traits)

    def read_count(self, body: bytes) -> int:
        return response_in.read_count(body)
