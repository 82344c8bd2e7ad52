"""Embeddings towards other dialects.

Source: https://platform.openai.com/docs/api-reference/embeddings in the words of openai-python 3.57.0, read 2026-11-25:
base64 is of little-endian float32, and the SDK asks for it whenever its user did not choose.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.core.content import Media
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import Field, Loss
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingResponse
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import sound_answer
from tollhouse.dialects.openai_family.usage import usage_of
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene, Written
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

_WORDS: Final = {Field.DIMENSIONS: "dimensions", Field.END_USER: "user", Field.MEDIA: "input"}
_WANTED: Final = "a text, a list of texts, a list of tokens or a list of such lists"
_FLOAT_BYTES: Final = 4

Vector = tuple[float, ...]


class OpenAiEmbeddingFaces:
    """Implements ports.translation.EmbeddingFaces."""

    words: Mapping[Field, str] = _WORDS

    # -- inbound

    def read_request(self, call: ClientCall) -> tuple[EmbeddingRequest, tuple[str, ...]]:
        leftovers = Leftovers()
        with told_to_callers():
            body = Fields(decoded(call.body), "", leftovers)
            body.ignore("model")
            asked = body.take("input")
            form = body.take_text("encoding_format")
            if form not in (None, "float", "base64"):
                raise WrongType("encoding_format", "`float` or `base64`")
            request = EmbeddingRequest(
                model=call.model,
                inputs=_inputs(asked),
                dimensions=body.take_integer("dimensions"),
                end_user=body.take_text("user"),
                is_single=isinstance(asked, str),
            )
        return request, leftovers.paths()

    def write_response(self, response: EmbeddingResponse, call: ClientCall, scene: Scene) -> bytes:
        is_base64 = _asks_base64(call)
        tokens = response.usage.input_tokens if response.usage is not None else 0
        return msgspec.json.encode(
            {
                "object": "list",
                "data": [
                    {
                        "object": "embedding",
                        "index": index,
                        "embedding": _packed(vector) if is_base64 else vector,
                    }
                    for index, vector in enumerate(response.vectors)
                ],
                "model": response.model or scene.model,
                # The SDK's type knows no answer without counts; where nobody counted there is nothing to bill.
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    # -- outbound

    def write_request(self, request: EmbeddingRequest, traits: Traits) -> Written:
        losses = []
        if any(isinstance(asked, Media) for asked in request.inputs):
            raise invalid_request(
                "Pictures cannot be embedded by this provider.", param="input", hint="Send texts only."
            )
        if request.task is not None or request.title is not None:
            losses.append(Loss(field=Field.EMBEDDING_TASK))
        if request.truncate is not None:
            losses.append(Loss(field=Field.TRUNCATION))
        body: dict[str, Any] = {"model": request.model}
        for field, name, value in (
            (Field.DIMENSIONS, "dimensions", request.dimensions),
            (Field.END_USER, "user", request.end_user),
        ):
            if value is None:
                continue
            if field in traits.unsupported:
                losses.append(Loss(field=field, is_vital=field is Field.DIMENSIONS))
            else:
                body[name] = value
        body["input"] = (
            request.inputs[0] if request.is_single and len(request.inputs) == 1 else request.inputs
        )
        try:
            return Written(body=msgspec.json.encode(body), losses=tuple(losses))
        except UnicodeEncodeError:
            raise invalid_request("`input` has half of a surrogate pair.", param="input") from None

    def read_response(self, body: bytes) -> EmbeddingResponse:
        answer = sound_answer(body)
        rows = answer.get("data")
        if not isinstance(rows, list):
            raise not_an_answer("answered with JSON that has no `data`")
        model = answer.get("model")
        return EmbeddingResponse(
            model=model if isinstance(model, str) else "",
            vectors=_vectors(rows),
            usage=usage_of(answer.get("usage"), has_output=False),
        )


def _inputs(asked: Any) -> tuple[str | tuple[int, ...] | Media, ...]:
    """Raises: WrongType."""
    if isinstance(asked, str):
        return (asked,)
    if not isinstance(asked, list) or not asked:
        raise WrongType("input", _WANTED)
    if all(isinstance(item, str) for item in asked):
        return tuple(asked)
    if _are_tokens(asked):
        return (tuple(asked),)
    if all(isinstance(item, list) and item and _are_tokens(item) for item in asked):
        return tuple([tuple(item) for item in asked])
    raise WrongType("input", _WANTED)


def _are_tokens(values: list[Any]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _asks_base64(call: ClientCall) -> bool:
    span = call.spans.get("encoding_format")
    return span is not None and call.body[slice(*span)] == b'"base64"'


def _packed(vector: Vector) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (OverflowError, struct.error):
        raise not_an_answer("answered with a vector of numbers that are too large") from None


def _vectors(rows: list[Any]) -> tuple[Vector, ...]:
    """In the order of their indexes; where one is missing, in the order they came."""
    found: list[tuple[int, Vector]] = []
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise not_an_answer("answered with an embedding that is no object")
        index = row.get("index")
        is_known = isinstance(index, int) and not isinstance(index, bool)
        found.append((index if is_known and isinstance(index, int) else place, _vector(row.get("embedding"))))
    if len({index for index, _ in found}) == len(found):
        found.sort(key=lambda pair: pair[0])
    return tuple([vector for _, vector in found])


def _vector(value: object) -> Vector:
    if isinstance(value, str):
        try:
            packed = base64.b64decode(value, validate=True)
        except binascii.Error:
            packed = b"?"
        if len(packed) % _FLOAT_BYTES == 0:
            return struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed)
    elif isinstance(value, list):
        try:
            return msgspec.convert(value, type=Vector)
        except msgspec.ValidationError:
            pass
    raise not_an_answer("answered with an embedding that is no list of numbers")
