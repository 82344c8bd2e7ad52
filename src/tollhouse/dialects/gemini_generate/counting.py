"""Counting tokens: `countTokens`.

Source: https://ai.google.dev/api/tokens, read 2026-11-25: either `contents` alone, or a whole `generateContentRequest`
with its model.
"""

from __future__ import annotations

import msgspec

from tollhouse.core.request import ModelRequest
from tollhouse.dialects.ground_family.counts import Counts
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Written

from .request_in import read_count_request
from .request_out import request_document
from .response_in import answer_of
from .response_out import encoded


class GeminiCounting:
    """Implements ports.translation.CountFaces."""

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return read_count_request(call)

    def write_count(self, input_tokens: int, call: ClientCall) -> bytes:  # noqa: ARG002 - the port's
        return msgspec.json.encode({"totalTokens": input_tokens})

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        document, losses = request_document(request, traits)
        document.pop("generationConfig", None)
        if document.keys() != {"contents"}:
            document = {"generateContentRequest": {"model": f"models/{request.model}", **document}}
        return Written(body=encoded(document), losses=losses)

    def read_count(self, body: bytes) -> int:
        count = Counts().read(answer_of(body), "totalTokens")
        if count is None:
            raise not_an_answer("answered with a JSON object that has no `totalTokens`")
        return count
