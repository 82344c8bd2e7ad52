"""Callers' requests for embeddings, read."""

from __future__ import annotations

import re
from typing import Final

from tollhouse.core.content import Media, MediaKind
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingTask
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

_DATA_URI: Final = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]*)*;base64,(?P<data>.*)", re.DOTALL)
_TASKS: Final = {
    "search_query": EmbeddingTask.QUERY,
    "search_document": EmbeddingTask.DOCUMENT,
    "classification": EmbeddingTask.CLASSIFICATION,
    "clustering": EmbeddingTask.CLUSTERING,
}
_IMAGE: Final = "image"
_TRUNCATIONS: Final = ("none", "start", "end")
_FORMS: Final = ("float", "base64")
"""The kinds of vectors other providers have too; integers and bits are Cohere's own."""


def read_request(call: ClientCall) -> tuple[EmbeddingRequest, tuple[str, ...]]:
    """See ports.translation.EmbeddingFaces.read_request."""
    leftovers = Leftovers()
    with told_to_callers():
        fields = Fields(decoded(call.body), "", leftovers)
        fields.ignore("model")
        fields.ignore_if("priority", 0)
        _forms(fields)  # judged before anything is spent; the answer is written by `wanted`
        request = EmbeddingRequest(
            model=call.model,
            inputs=_inputs(fields),
            dimensions=fields.take_integer("output_dimension"),
            task=_task(fields),
            truncate=_truncation(fields),
        )
    return request, leftovers.paths()


def wanted(call: ClientCall) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """In which forms the vectors are wanted, and the texts they are of, for the answer."""
    with told_to_callers():
        fields = Fields(decoded(call.body), "", Leftovers())
        return _forms(fields), _texts(fields)


def _inputs(fields: Fields) -> tuple[str | tuple[int, ...] | Media, ...]:
    images = fields.take_list("images") or []
    if not all(isinstance(url, str) for url in images):
        raise WrongType("images", "a list of data URIs")
    return (
        *_texts(fields),
        *[_image(url) for url in images],
        *[_mixed(entry) for entry in fields.take_each("inputs")],
    )


def _texts(fields: Fields) -> tuple[str, ...]:
    texts = fields.take_list("texts") or []
    if not all(isinstance(text, str) for text in texts):
        raise WrongType("texts", "a list of texts")
    return tuple(texts)


def _mixed(entry: Fields) -> str | Media:
    """Something to embed as one thing. Text and pictures together, only Cohere can embed."""
    parts = [_part(content) for content in entry.take_each("content")]
    texts = [part for part in parts if isinstance(part, str)]
    if texts and len(texts) == len(parts):
        return "\n".join(texts)
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise WrongType(entry.of("content"), "a list with something in it")
    raise GatewayError(
        ErrorKind.UNSUPPORTED_PARAMETER,
        f"`{entry.of('content')}` has several things that are to become one vector, and no other provider does that.",
        blame=Blame.CLIENT,
        param=entry.of("content"),
        hint="Send each by itself, or ask for a model of Cohere's.",
    )


def _part(content: Fields) -> str | Media:
    kind = content.need_text("type")
    if kind == "text":
        return content.need_text("text")
    if kind != "image_url":
        raise WrongType(content.of("type"), "text or image_url")
    image = content.take_fields("image_url")
    if image is None:
        raise WrongType(content.of("image_url"), "an object")
    return _image(image.need_text("url"))


def _image(url: str) -> Media:
    inline = _DATA_URI.fullmatch(url)
    if inline is None:
        return Media(kind=MediaKind.IMAGE, url=url)
    return Media(kind=MediaKind.IMAGE, media_type=inline["type"] or None, data=inline["data"])


def _task(fields: Fields) -> EmbeddingTask | None:
    word = fields.need_text("input_type")
    if word not in _TASKS and word != _IMAGE:
        raise WrongType("input_type", f"one of {', '.join([*_TASKS, _IMAGE])}")
    return _TASKS.get(word)


def _truncation(fields: Fields) -> str | None:
    word = fields.take_text("truncate")
    if word is None:
        return None
    if word.lower() not in _TRUNCATIONS:
        raise WrongType("truncate", "NONE, START or END")
    return word.lower()


def _forms(fields: Fields) -> tuple[str, ...]:
    """The forms asked for; numbers where nothing was said."""
    listed = fields.take_list("embedding_types") or ["float"]
    for form in listed:
        if form not in _FORMS:
            raise GatewayError(
                ErrorKind.UNSUPPORTED_PARAMETER,
                f"`embedding_types` asks for {str(form)[:40]!r}, which only Cohere has.",
                blame=Blame.CLIENT,
                param="embedding_types",
                hint="Ask for `float` or `base64`, or for a model of Cohere's.",
            )
    return tuple(dict.fromkeys(listed))
