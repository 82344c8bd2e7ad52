"""vLLM.

Sources, read 2026-11-25: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (the wire APIs it
serves, `user` is passed over; reranking is Cohere's) and https://docs.vllm.ai/en/latest/features/reasoning_outputs/
(thoughts are in `reasoning`, once `reasoning_content`). Responses are kept only where the server was started with
`VLLM_ENABLE_RESPONSES_API_STORE`, so that is not relied on. Where it lives and whether it wants a credential is each
installation's own affair.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="vllm",
    title="vLLM",
    docs_url="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/responses"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
        Endpoint(operation=Operation.RERANK, dialect="cohere_rerank", path="/rerank"),
    ),
    needs_credential=False,
    traits=Traits(
        issuer="vllm",
        keeps_responses=False,
        unsupported=OPENAI_ONLY | {Field.END_USER},
        efforts=frozenset({"low", "medium", "high"}),
        output_limit_field="max_tokens",
        reasoning_history="reasoning",
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
)
