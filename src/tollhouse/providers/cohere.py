"""Cohere.

Sources, read 2026-11-25: https://docs.cohere.com/v2/reference/chat, /v2/reference/embed and /v2/reference/rerank, in
the words of cohere 7.3.1; https://docs.cohere.com/docs/reasoning (`thinking` with a budget, by models made for it).
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider, Thinking, Traits

_THINKING: Final[dict[str, Any]] = {"thinking": Thinking.BUDGET}

PROVIDER = Provider(
    kind="cohere",
    title="Cohere",
    docs_url="https://docs.cohere.com/v2/reference/chat",
    base_url="https://api.cohere.com",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="cohere_chat", path="/v2/chat"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="cohere_embed", path="/v2/embed"),
        Endpoint(operation=Operation.RERANK, dialect="cohere_rerank", path="/v2/rerank"),
    ),
    traits=Traits(
        issuer="cohere", thinking=Thinking.NONE, takes_document_urls=False, takes_result_media=False
    ),
    models=(("command-a-reasoning*", _THINKING), ("command-a-plus*", _THINKING)),
)
