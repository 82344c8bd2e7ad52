"""Reranking, `POST /v2/rerank` and the like.

Sources: Cohere's API reference, https://docs.cohere.com/reference/rerank, in the words of cohere-python 7.3.1, read
2026-11-25. Jina, Together, vLLM and Voyage have endpoints of nearly the same shape, which are understood as well
(https://docs.voyageai.com/reference/reranker-api and recorded answers).
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.operation import Operation
from tollhouse.dialects.cohere_family.dialect import CohereDialect

from .faces import CohereRerank
from .response import read_whole

_KNOWN: Final = frozenset(
    [
        "model", "query", "documents", "top_n", "max_tokens_per_doc", "relevant_spans", "priority",
        "return_documents", "rank_fields", "max_chunks_per_doc",
    ]
)  # fmt: skip
"""The last three are of the first version, `POST /v1/rerank`."""

DIALECT = CohereDialect(
    name="cohere_rerank",
    operation=Operation.RERANK,
    known=_KNOWN,
    subjects=("documents",),
    judge=read_whole,
    ranking=CohereRerank(),
)
