"""Embeddings towards other dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.core.content import Media, MediaKind
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import Field, Loss
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingResponse, EmbeddingTask
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.counts import Counts
from tollhouse.dialects.ground_family.google_spelling import GoogleFields, standard_base64
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import sound_answer
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene, Written
from tollhouse.wire.json_fields import Leftovers, WrongType

_WORDS: Final = {
    Field.DIMENSIONS: "outputDimensionality",
    Field.EMBEDDING_TASK: "taskType",
    Field.TRUNCATION: "autoTruncate",
    Field.MEDIA: "content",
}
_TASKS: Final = {
    "RETRIEVAL_QUERY": EmbeddingTask.QUERY,
    "RETRIEVAL_DOCUMENT": EmbeddingTask.DOCUMENT,
    "SEMANTIC_SIMILARITY": EmbeddingTask.SIMILARITY,
    "CLASSIFICATION": EmbeddingTask.CLASSIFICATION,
    "CLUSTERING": EmbeddingTask.CLUSTERING,
    "QUESTION_ANSWERING": EmbeddingTask.QUESTION_ANSWERING,
    "FACT_VERIFICATION": EmbeddingTask.FACT_VERIFICATION,
    "CODE_RETRIEVAL_QUERY": EmbeddingTask.CODE_QUERY,
}
"""https://ai.google.dev/api/embeddings#tasktype, read 2026-11-25."""
_TASK_WORDS: Final = {task: word for word, task in _TASKS.items()}
_TASK_NUMBERS: Final = (
    "TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION",
    "CLUSTERING", "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY",
)  # fmt: skip

Vector = tuple[float, ...]


class GeminiEmbeddingFaces:
    """Implements ports.translation.EmbeddingFaces."""

    words: Mapping[Field, str] = _WORDS

    # -- inbound

    def read_request(self, call: ClientCall) -> tuple[EmbeddingRequest, tuple[str, ...]]:
        leftovers = Leftovers()
        with told_to_callers():
            body = GoogleFields(decoded(call.body), "", leftovers)
            body.ignore("model")
            is_single = "requests" not in body
            asked = [body] if is_single else body.each("requests")
            read = [_one(one, call.model, is_single=is_single) for one in asked]
            if not read:
                raise WrongType("requests", "a list of at least one request")
            for place, request in enumerate(read):
                if msgspec.structs.replace(request, inputs=read[0].inputs) != read[0]:
                    raise invalid_request(
                        "The requests of a batch must ask for the same task, title and dimensions here.",
                        param=f"requests[{place}]",
                        hint="Send one batch for each task.",
                    )
        inputs = tuple([text for request in read for text in request.inputs])
        return msgspec.structs.replace(read[0], inputs=inputs), leftovers.paths()

    def write_response(self, response: EmbeddingResponse, call: ClientCall, scene: Scene) -> bytes:  # noqa: ARG002
        vectors = [{"values": vector} for vector in response.vectors]
        answer: dict[str, Any] = {"embeddings": vectors}
        if "requests" not in call.spans:
            answer = {"embedding": vectors[0] if vectors else {"values": []}}
        if response.usage is not None:
            answer["usageMetadata"] = {"promptTokenCount": response.usage.input_tokens}
        return msgspec.json.encode(answer)

    # -- outbound

    def write_request(self, request: EmbeddingRequest, traits: Traits) -> Written:
        losses = []
        for field, value in ((Field.END_USER, request.end_user), (Field.TRUNCATION, request.truncate)):
            if value is not None:
                losses.append(Loss(field=field))
        settings: dict[str, Any] = {}
        for field, name, wish in (
            (Field.EMBEDDING_TASK, "taskType", _TASK_WORDS.get(request.task) if request.task else None),
            (Field.EMBEDDING_TASK, "title", request.title),
            (Field.DIMENSIONS, "outputDimensionality", request.dimensions),
        ):
            if wish is None:
                continue
            if field in traits.unsupported:
                losses.append(Loss(field=field, is_vital=field is Field.DIMENSIONS))
            else:
                settings[name] = wish
        model = f"models/{request.model}"
        body = {
            "requests": [
                {"model": model, "content": {"parts": [_part(asked)]}, **settings} for asked in request.inputs
            ]
        }
        try:
            return Written(body=msgspec.json.encode(body), losses=tuple(losses))
        except UnicodeEncodeError:
            raise invalid_request("The input has half of a surrogate pair.", param="input") from None

    def read_response(self, body: bytes) -> EmbeddingResponse:
        answer = sound_answer(body)
        rows = answer.get("embeddings")
        if rows is None and answer.get("embedding") is not None:
            rows = [answer["embedding"]]
        if not isinstance(rows, list):
            raise not_an_answer("answered with JSON that has no `embeddings`")
        return EmbeddingResponse(
            model="",
            vectors=tuple([_vector(row) for row in rows]),
            usage=usage_of(answer.get("usageMetadata")),
        )


def usage_of(reported: object) -> Usage | None:
    """The tokens that went in; None where nobody counted them, as is usual."""
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    tokens = counts.read(reported, "promptTokenCount")
    if tokens is None:
        tokens = counts.read(reported, "totalTokenCount")
    if tokens is None:
        return None
    source = UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED
    return Usage(source=source, input_uncached_tokens=tokens)


def _one(asked: GoogleFields, model: str, *, is_single: bool) -> EmbeddingRequest:
    asked.ignore("model")
    config = asked.take_fields("embedContentConfig")
    settings = asked if config is None else config
    task = settings.take_word("taskType", _TASK_NUMBERS)
    truncates = settings.take_flag("autoTruncate")
    return EmbeddingRequest(
        model=model,
        inputs=(_input(asked),),
        dimensions=settings.take_integer("outputDimensionality"),
        task=_TASKS.get(task or ""),
        title=settings.take_text("title"),
        truncate=None if truncates is None else "end" if truncates else "none",
        is_single=is_single,
    )


def _input(asked: GoogleFields) -> str | Media:
    """A content's texts together, or its one file. Raises: WrongType."""
    content = asked.take_fields("content")
    if content is None:
        raise WrongType(asked.of("content"), "an object with `parts`")
    content.ignore("role")
    parts = content.each("parts")
    blobs = [blob for part in parts if (blob := part.take_fields("inlineData")) is not None]
    if blobs and len(parts) == 1:
        media_type = blobs[0].take_text("mimeType")
        family = (media_type or "image").partition("/")[0]
        kind = MediaKind(family) if family in ("image", "audio", "video") else MediaKind.DOCUMENT
        return Media(kind=kind, media_type=media_type, data=standard_base64(blobs[0].need_text("data")))
    texts = [part.need_text("text") for part in parts]
    if not texts:
        raise WrongType(content.of("parts"), "a list of at least one part")
    return "\n".join(texts)


def _part(asked: str | tuple[int, ...] | Media) -> dict[str, Any]:
    """Raises: GatewayError `invalid_request` for what Gemini cannot read."""
    if isinstance(asked, str):
        return {"text": asked}
    if isinstance(asked, Media) and asked.data is not None:
        return {"inlineData": {"mimeType": asked.media_type or "image/png", "data": asked.data}}
    what = "Files by address" if isinstance(asked, Media) else "Tokens"
    raise invalid_request(f"{what} cannot be embedded by Gemini.", param="input", hint="Send texts.")


def _vector(row: object) -> Vector:
    values = row.get("values") if isinstance(row, dict) else None
    try:
        return msgspec.convert(values, type=Vector)
    except msgspec.ValidationError:
        raise not_an_answer("answered with an embedding that is no list of numbers") from None
