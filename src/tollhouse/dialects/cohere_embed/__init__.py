"""Embeddings, `POST /v2/embed`.

Source: Cohere's API reference, https://docs.cohere.com/reference/embed, in the words of cohere-python 7.3.1, read
2026-11-25.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.operation import Operation
from tollhouse.dialects.cohere_family.dialect import CohereDialect

from .faces import CohereEmbed
from .response import read_whole

_KNOWN: Final = frozenset(
    [
        "model", "input_type", "texts", "images", "inputs", "max_tokens", "output_dimension", "embedding_types",
        "truncate", "priority",
    ]
)  # fmt: skip

DIALECT = CohereDialect(
    name="cohere_embed",
    operation=Operation.EMBEDDINGS,
    known=_KNOWN,
    subjects=("texts", "inputs", "images"),
    judge=read_whole,
    embedding=CohereEmbed(),
)
