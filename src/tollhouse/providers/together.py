"""Together AI.

Sources, read 2026-11-25: https://docs.together.ai/reference/chat-completions-1 (what a request may have; log
probabilities are a number there, so OpenAI's way of asking is not passed on),
https://docs.together.ai/docs/openai-api-compatibility and https://docs.together.ai/reference/rerank (Cohere's wire
API). Only of GPT-OSS it was checked that it takes an effort.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Thinking, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="together",
    title="Together AI",
    docs_url="https://docs.together.ai/reference/chat-completions-1",
    base_url="https://api.together.xyz/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
        Endpoint(operation=Operation.RERANK, dialect="cohere_rerank", path="/rerank"),
    ),
    traits=Traits(
        issuer="together",
        unsupported=OPENAI_ONLY
        | {Field.LOGPROBS, Field.TOP_LOGPROBS, Field.END_USER, Field.PARALLEL_TOOL_CALLS},
        thinking=Thinking.NONE,
        output_limit_field="max_tokens",
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
    models=(("*gpt-oss*", {"thinking": Thinking.EFFORT, "efforts": frozenset({"low", "medium", "high"})}),),
)
