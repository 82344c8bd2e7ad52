"""Cerebras.

Sources, read 2026-11-25: https://inference-docs.cerebras.ai/resources/openai (what is refused: penalties,
`logit_bias`, `parallel_tool_calls`, `service_tier`) and https://inference-docs.cerebras.ai/capabilities/reasoning
(`reasoning_effort` of GPT-OSS).
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Thinking, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="cerebras",
    title="Cerebras",
    docs_url="https://inference-docs.cerebras.ai/resources/openai",
    base_url="https://api.cerebras.ai/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.TEXT_COMPLETION, dialect="openai_completions", path="/completions"),
    ),
    traits=Traits(
        issuer="cerebras",
        unsupported=OPENAI_ONLY
        | {
            Field.FREQUENCY_PENALTY,
            Field.PRESENCE_PENALTY,
            Field.LOGIT_BIAS,
            Field.PARALLEL_TOOL_CALLS,
            Field.N,
        },
        thinking=Thinking.NONE,
        takes_document_urls=False,
        takes_result_media=False,
    ),
    models=(("gpt-oss*", {"thinking": Thinking.EFFORT, "efforts": frozenset({"low", "medium", "high"})}),),
)
