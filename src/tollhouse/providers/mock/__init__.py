"""The mock provider: OpenAI's shape, deterministic answers, and every fault a script can ask for.

It stands in for a real upstream in the demo, in tests and in benchmarks. What it answers is decided by the pure files
here; the server that performs it is the adapter `mock_server`.

Shape: OpenAI's API reference (chat, completions, embeddings, models), read 2026-01. Tokens are words, see `answers`.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Endpoint, Provider

PROVIDER = Provider(
    kind="mock",
    title="Mock",
    docs_url="docs/guides/testing-with-the-mock.md",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
        Endpoint(operation=Operation.EMBEDDINGS, dialect="openai_embeddings", path="/embeddings"),
    ),
    needs_credential=False,
)
