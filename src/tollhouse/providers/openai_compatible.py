"""Any server that speaks OpenAI's wire API: vLLM, Ollama, llama.cpp, a hosted provider, another gateway.

Where it lives and whether it wants a credential is each installation's own affair. `stream_options.include_usage` is
sent on streams, as vLLM (https://docs.vllm.ai/en/v0.8.1/serving/openai_compatible_server.html) and Ollama
(https://docs.ollama.com/api/openai-compatibility, which lists the field) take it; both read 2026-11-24.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider

PROVIDER = Provider(
    kind="openai_compatible",
    title="OpenAI-compatible server",
    docs_url="https://docs.vllm.ai/en/v0.8.1/serving/openai_compatible_server.html",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    needs_credential=False,
)
