"""OpenAI itself.

Source: its API reference, https://platform.openai.com/docs/api-reference, in the words of its SDK openai-python 3.57.0
(base URL, paths, bearer token, `stream_options` on chat and text completions), read 2026-11-24.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider

PROVIDER = Provider(
    kind="openai",
    title="OpenAI",
    docs_url="https://platform.openai.com/docs/api-reference",
    base_url="https://api.openai.com/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
)
