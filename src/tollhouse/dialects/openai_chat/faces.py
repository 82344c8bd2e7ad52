"""Chat completions towards other dialects. Implements ports.translation.ChatFaces."""

from __future__ import annotations

from collections.abc import Mapping

from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EventReader, EventWriter, Scene, Written

from .request_in import read_request
from .request_out import write_request
from .response_in import read_response
from .response_out import write_response
from .stream_in import ChatReader
from .stream_out import ChatWriter
from .vocabulary import WORDS


class OpenAiChatFaces:
    """Both faces. Keeps no state."""

    words: Mapping[Field, str] = WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:
        return ChatWriter(call, scene)

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return write_request(request, traits)

    def read_response(self, body: bytes) -> ModelResponse:
        return read_response(body)

    def read_stream(self) -> EventReader:
        return ChatReader()
