"""Fireworks AI.

Sources, read 2026-11-25: https://docs.fireworks.ai/guides/querying-text-models (chat completions, text completions,
Responses) and https://docs.fireworks.ai/guides/reasoning (`reasoning_effort`; thoughts come as `reasoning_content`
and may go back so).
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="fireworks",
    title="Fireworks AI",
    docs_url="https://docs.fireworks.ai/guides/querying-text-models",
    base_url="https://api.fireworks.ai/inference/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/responses"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    traits=Traits(
        issuer="fireworks",
        unsupported=OPENAI_ONLY,
        efforts=frozenset({"none", "low", "medium", "high"}),
        output_limit_field="max_tokens",
        reasoning_history="reasoning_content",
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
)
