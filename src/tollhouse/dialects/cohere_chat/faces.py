"""Cohere's chat towards other dialects. Implements ports.translation.ChatFaces."""

from __future__ import annotations

from tollhouse.core.request import ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EventReader, EventWriter, Scene, Written

from .request_in import read_request
from .request_out import write_request
from .response_in import read_response
from .response_out import write_response
from .stream_in import StreamReader
from .stream_out import StreamWriter
from .vocabulary import WORDS


class CohereChat:
    """Stateless; one serves all calls."""

    __slots__ = ()

    words = WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:  # noqa: ARG002 - the port's
        return StreamWriter(scene)

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return write_request(request, traits)

    def read_response(self, body: bytes) -> ModelResponse:
        return read_response(body)

    def read_stream(self) -> EventReader:
        return StreamReader()
