"""Vectors, read and written."""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

import msgspec

from tollhouse.core.vectors import EmbeddingResponse
from tollhouse.dialects.cohere_family.answers import answer_of
from tollhouse.dialects.cohere_family.usage import usage_of
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, encode_loosely
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import ClientCall, Reading
from tollhouse.ports.translation import Scene

from .request_in import wanted

_NOTHING: Final = msgspec.Raw(b"")


class _Outline(msgspec.Struct):
    """An answer whose numbers are passed over at C speed."""

    embeddings: msgspec.Raw = _NOTHING
    meta: Any = None


def read_whole(body: bytes) -> Reading:
    """What the tap sees in an answer. Raises: GatewayError when it is none."""
    try:
        outline = msgspec.json.decode(body, type=_Outline)
    except DECODE_FAULTS:
        outline = _Outline()
    if bytes(memoryview(outline.embeddings)[:1]) not in (b"{", b"["):
        answer_of(body)  # finds an error, where it is one
        raise not_an_answer("answered with a JSON object that has no `embeddings`")
    return Reading(usage=usage_of(outline.meta))


def read_response(body: bytes) -> EmbeddingResponse:
    """See ports.translation.EmbeddingFaces.read_response. Cohere's answers do not name the model."""
    answer = answer_of(body)
    rows = answer.get("embeddings")
    if isinstance(rows, dict):
        numbers = rows.get("float")
        rows = numbers if numbers is not None else rows.get("base64")
    if not isinstance(rows, list):
        raise not_an_answer("answered with a JSON object that has no `embeddings`")
    try:
        vectors = tuple([_vector(row) for row in rows])
    except (TypeError, ValueError, OverflowError, struct.error):
        raise not_an_answer("answered with a vector that is none") from None
    return EmbeddingResponse(model="", vectors=vectors, usage=usage_of(answer.get("meta")))


def write_response(response: EmbeddingResponse, call: ClientCall, scene: Scene) -> bytes:
    """See ports.translation.EmbeddingFaces.write_response."""
    forms, texts = wanted(call)
    embeddings: dict[str, Any] = {}
    if "float" in forms:
        embeddings["float"] = response.vectors
    if "base64" in forms:
        embeddings["base64"] = [_packed(vector) for vector in response.vectors]
    meta: dict[str, Any] = {"api_version": {"version": "2"}}
    if response.usage is not None:
        meta["billed_units"] = {"input_tokens": response.usage.input_tokens}
    document: dict[str, Any] = {
        "response_type": "embeddings_by_type",
        "id": scene.id,
        "embeddings": embeddings,
    }
    if texts:
        document["texts"] = texts
    return encode_loosely({**document, "meta": meta})


def _vector(row: Any) -> tuple[float, ...]:
    if isinstance(row, str):
        packed = base64.b64decode(row, validate=True)
        return struct.unpack(f"<{len(packed) // 4}f", packed)
    return tuple(map(float, row))


def _packed(vector: tuple[float, ...]) -> str:
    """Little-endian numbers of 32 bits, one after the other. Raises: GatewayError where one is too large for them."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError:
        raise not_an_answer("answered with a vector of numbers that are none") from None
