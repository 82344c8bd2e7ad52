"""Cohere's embeddings towards other dialects. Implements ports.translation.EmbeddingFaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingResponse
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene, Written

from .request_in import read_request
from .request_out import write_request
from .response import read_response, write_response

_WORDS: Final[Mapping[Field, str]] = {
    Field.DIMENSIONS: "output_dimension",
    Field.EMBEDDING_TASK: "input_type",
    Field.TRUNCATION: "truncate",
    Field.MEDIA: "images",
}


class CohereEmbed:
    """Stateless; one serves all calls."""

    __slots__ = ()

    words = _WORDS

    def read_request(self, call: ClientCall) -> tuple[EmbeddingRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: EmbeddingResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_request(self, request: EmbeddingRequest, traits: Traits) -> Written:
        return write_request(request, traits)

    def read_response(self, body: bytes) -> EmbeddingResponse:
        return read_response(body)
