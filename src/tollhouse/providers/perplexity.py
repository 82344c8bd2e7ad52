"""Perplexity.

Sources, read 2026-11-25: https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/how-to (the Agent API, which
OpenAI's SDK reaches as Responses at `/v1/responses`) and https://docs.perplexity.ai/api-reference/embeddings-post.
Its chat completions (Sonar) ended on 2026-09-27, so chat callers are translated; models are named as
`perplexity/sonar`.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="perplexity",
    title="Perplexity",
    docs_url="https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/how-to",
    base_url="https://api.perplexity.ai",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/v1/responses"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/v1/embeddings"),
    ),
    traits=Traits(
        issuer="perplexity",
        unsupported=OPENAI_ONLY | {Field.LOGPROBS, Field.TOP_LOGPROBS, Field.END_USER},
        efforts=frozenset({"low", "medium", "high"}),
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
        server_tools=frozenset({"web_search"}),
    ),
)
