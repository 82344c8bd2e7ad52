"""Embeddings, `POST /embeddings`. They have no streams, so `stream` is none of our business here.

Source: OpenAI's API reference, https://platform.openai.com/docs/api-reference/embeddings, in the words of the types
and docstrings of openai-python 3.57.0, read 2026-11-24.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_family.asks import Subject
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.dialects.openai_family.unary import read_embeddings

from .faces import OpenAiEmbeddingFaces

DIALECT = FamilyDialect(
    name="openai_embeddings",
    operation=Operation.EMBEDDINGS,
    known=frozenset(
        [
            "dimensions",
            "encoding_format",
            "input",
            "model",
            "user",
        ]
    ),
    subject=Subject(name="input", starts=b'"[', wanted="a text or a list of texts or tokens"),
    judge=read_embeddings,
    is_content=None,
    embedding=OpenAiEmbeddingFaces(),
)
