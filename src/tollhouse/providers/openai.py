"""OpenAI itself.

Source: its API reference, https://platform.openai.com/docs/api-reference, in the words of its SDK openai-python
3.57.0 (base URL, paths, bearer token, `stream_options` on chat and text completions), read 2026-11-25. In chat
completions a tool's result is text, and documents come as data; the Responses API takes both otherwise. What differs
by model stands in `openai_family`.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider, Traits
from tollhouse.providers.openai_family import OPENAI, OPENAI_SERVER_TOOLS

PROVIDER = Provider(
    kind="openai",
    title="OpenAI",
    docs_url="https://platform.openai.com/docs/api-reference",
    base_url="https://api.openai.com/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(
            operation=Operation.CHAT,
            dialect="openai_responses",
            path="/responses",
            traits=(
                ("takes_result_media", True),
                ("takes_document_urls", True),
                ("server_tools", OPENAI_SERVER_TOOLS),
            ),
        ),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    traits=Traits(
        issuer="openai", takes_custom_tools=True, takes_result_media=False, takes_document_urls=False
    ),
    models=OPENAI,
)
