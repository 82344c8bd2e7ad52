"""Any server that speaks OpenAI's wire API: llama.cpp, LM Studio, a hosted provider, another gateway.

Where it lives and whether it wants a credential is each installation's own affair, and what it takes is unknown: so
it is told what the caller said, in the older words that most servers know (`max_tokens`).
`stream_options.include_usage` is sent on streams, as vLLM
(https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html) and Ollama
(https://docs.ollama.com/api/openai-compatibility, which lists the field) take it; both read 2026-11-25.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider, Traits

PROVIDER = Provider(
    kind="openai_compatible",
    title="OpenAI-compatible server",
    docs_url="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    needs_credential=False,
    traits=Traits(
        issuer="openai_compatible",
        output_limit_field="max_tokens",
        takes_document_urls=False,
        takes_result_media=False,
    ),
)
