"""Embeddings, whatever the wire API they are asked in."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .content import Media
from .usage import Usage


class EmbeddingTask(StrEnum):
    """What the vectors are for, in Google's and Cohere's distinctions."""

    QUERY = "query"
    DOCUMENT = "document"
    SIMILARITY = "similarity"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"
    QUESTION_ANSWERING = "question_answering"
    FACT_VERIFICATION = "fact_verification"
    CODE_QUERY = "code_query"


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to be turned into vectors."""

    model: str
    inputs: tuple[str | tuple[int, ...] | Media, ...]
    """Each a text, a list of tokens, or a picture."""
    dimensions: int | None = None
    task: EmbeddingTask | None = None
    title: str | None = None
    end_user: str | None = None
    truncate: str | None = None
    """`none`, `start` or `end`."""
    is_single: bool = False
    """Whether the caller asked for one text, in a form that has one vector for an answer."""


class EmbeddingResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One vector per input, in order."""

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
