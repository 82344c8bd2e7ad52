"""OpenRouter.

Sources, read 2026-11-25: https://openrouter.ai/docs/api/reference/overview and
https://openrouter.ai/docs/api/reference/parameters (what a request may have; documents may be URLs),
https://openrouter.ai/docs/guides/best-practices/reasoning-tokens (`reasoning`, also on messages that come back) and
https://openrouter.ai/docs/guides/best-practices/prompt-caching (`cache_control` on parts). What a model of another
maker refuses, OpenRouter leaves out by itself. Its Responses API keeps nothing between calls and refuses `store: true`
(https://www.openrouter.ai/docs/api_reference/responses/error-handling).
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Thinking, Traits

PROVIDER = Provider(
    kind="openrouter",
    title="OpenRouter",
    docs_url="https://openrouter.ai/docs/api/reference/overview",
    base_url="https://openrouter.ai/api/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/responses"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    traits=Traits(
        issuer="openrouter",
        keeps_responses=False,
        unsupported=frozenset({Field.STORE, Field.N, Field.PROMPT_CACHE_RETENTION}),
        thinking=Thinking.OBJECT,
        output_limit_field="max_tokens",
        reasoning_history="reasoning",
        takes_result_media=False,
        takes_cache_marks=True,
    ),
)
