"""Ollama, on this machine unless said otherwise.

Sources, read 2026-11-25: https://docs.ollama.com/api/openai-compatibility (the fields it takes; chat completions,
stateless Responses, text completions, embeddings) and https://docs.ollama.com/api/anthropic-compatibility
(`/v1/messages`). Older servers, which are many, want pictures as bytes and pass `tool_choice` over, so neither is
relied on. A schema is kept by `response_format`. The local server wants no credential; the cloud's goes as a bearer
token.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="ollama",
    title="Ollama",
    docs_url="https://docs.ollama.com/api/openai-compatibility",
    base_url="http://127.0.0.1:11434/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/responses"),
        Endpoint(operation=Operation.CHAT, dialect="anthropic_messages", path="/messages"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    needs_credential=False,
    traits=Traits(
        issuer="ollama",
        keeps_responses=False,
        unsupported=OPENAI_ONLY
        | {
            Field.TOOL_CHOICE,
            Field.PARALLEL_TOOL_CALLS,
            Field.LOGIT_BIAS,
            Field.END_USER,
            Field.N,
        },
        efforts=frozenset({"none", "low", "medium", "high"}),
        output_limit_field="max_tokens",
        reasoning_history="reasoning",
        takes_forced_tools=False,
        takes_image_urls=False,
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
)
