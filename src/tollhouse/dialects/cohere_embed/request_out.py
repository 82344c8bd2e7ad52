"""Requests for Cohere's embeddings, written. `input_type` must be said: where the caller said nothing, what is to be
found later is embedded."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Media, MediaKind
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.request import Field, Loss
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingTask
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Written

_DOCUMENT: Final = "search_document"
_TYPES: Final = {
    EmbeddingTask.QUERY: "search_query",
    EmbeddingTask.DOCUMENT: _DOCUMENT,
    EmbeddingTask.CLASSIFICATION: "classification",
    EmbeddingTask.CLUSTERING: "clustering",
    EmbeddingTask.QUESTION_ANSWERING: "search_query",
    EmbeddingTask.FACT_VERIFICATION: "search_query",
    EmbeddingTask.CODE_QUERY: "search_query",
}
"""Questions, claims and wishes for code are queries by another name. Likeness has none."""


def write_request(request: EmbeddingRequest, traits: Traits) -> Written:
    """See ports.translation.EmbeddingFaces.write_request. Raises: GatewayError for what Cohere cannot embed."""
    losses: dict[Field, None] = {}
    inputs = _inputs(request.inputs)
    body: dict[str, Any] = {"model": request.model}
    body["input_type"] = "image" if "images" in inputs else _input_type(request, losses)
    body["embedding_types"] = ["float"]
    for field, name, value in (
        (Field.DIMENSIONS, "output_dimension", request.dimensions),
        (Field.TRUNCATION, "truncate", request.truncate.upper() if request.truncate else None),
    ):
        if value is not None and field in traits.unsupported:
            losses[field] = None
        elif value is not None:
            body[name] = value
    if request.title is not None:
        losses[Field.EMBEDDING_TASK] = None
    if request.end_user is not None:
        losses[Field.END_USER] = None
    return Written(
        body=encode_loosely({**body, **inputs}), losses=tuple([Loss(field=field) for field in losses])
    )


def _input_type(request: EmbeddingRequest, losses: dict[Field, None]) -> str:
    if request.task is None:
        return _DOCUMENT
    word = _TYPES.get(request.task)
    if word is None:
        losses[Field.EMBEDDING_TASK] = None
    return word or _DOCUMENT


def _inputs(inputs: tuple[str | tuple[int, ...] | Media, ...]) -> dict[str, Any]:
    """The member that says what to embed: texts alone, pictures alone, or both."""
    for thing in inputs:
        if isinstance(thing, tuple):
            raise invalid_request("Cohere embeds texts, not tokens.", param="input", hint="Send texts.")
    if all(isinstance(thing, str) for thing in inputs):
        return {"texts": list(inputs)}
    if all(isinstance(thing, Media) for thing in inputs):
        return {"images": [_url(thing) for thing in inputs if isinstance(thing, Media)]}
    return {"inputs": [{"content": [_content(thing)]} for thing in inputs if not isinstance(thing, tuple)]}


def _content(thing: str | Media) -> dict[str, Any]:
    if isinstance(thing, str):
        return {"type": "text", "text": thing}
    return {"type": "image_url", "image_url": {"url": _url(thing)}}


def _url(media: Media) -> str:
    if media.kind is not MediaKind.IMAGE or media.data is None:
        raise _not_to_be_embedded(media)
    return f"data:{media.media_type or 'image/png'};base64,{media.data}"


def _not_to_be_embedded(media: Media) -> GatewayError:
    what = "images by their address" if media.kind is MediaKind.IMAGE else f"{media.kind.value} files"
    return invalid_request(
        f"Cohere embeds texts and images, not {what}.", param="input", hint="Send images in base64."
    )
