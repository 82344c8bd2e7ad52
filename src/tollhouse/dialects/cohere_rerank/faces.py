"""Cohere's reranking towards other dialects. Implements ports.translation.RerankFaces."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tollhouse.core.ranking import RerankRequest, RerankResponse
from tollhouse.core.request import Field
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene, Written

from .request import read_request, write_request
from .response import read_response, write_response

_WORDS: Final[Mapping[Field, str]] = MappingProxyType({})
"""None of the fields that are declared when they are lost is of reranking."""


class CohereRerank:
    """Stateless; one serves all calls."""

    __slots__ = ()

    words = _WORDS

    def read_request(self, call: ClientCall) -> tuple[RerankRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: RerankResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_request(self, request: RerankRequest, traits: Traits) -> Written:  # noqa: ARG002 - the port's
        return write_request(request)

    def read_response(self, body: bytes) -> RerankResponse:
        return read_response(body)
