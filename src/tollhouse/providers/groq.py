"""Groq.

Sources, read 2026-11-25: https://console.groq.com/docs/openai (what is refused: log probabilities, `logit_bias`,
names of messages, more than one choice; the Responses API is served), https://console.groq.com/docs/reasoning
(`reasoning_effort` of GPT-OSS) and https://console.groq.com/docs/structured-outputs (models that take schemas).
Models that only know `reasoning_effort` as `none` or `default` are left to think as they please.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Support, Thinking, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

_SCHEMAS: Final[dict[str, Any]] = {"json_schema": Support.NATIVE}

PROVIDER = Provider(
    kind="groq",
    title="Groq",
    docs_url="https://console.groq.com/docs/openai",
    base_url="https://api.groq.com/openai/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(operation=Operation.CHAT, dialect="openai_responses", path="/responses"),
    ),
    traits=Traits(
        issuer="groq",
        keeps_responses=False,
        unsupported=OPENAI_ONLY
        | {Field.LOGPROBS, Field.TOP_LOGPROBS, Field.LOGIT_BIAS, Field.N, Field.MESSAGE_NAMES},
        json_schema=Support.EMULATED,
        thinking=Thinking.NONE,
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
    models=(
        (
            "*gpt-oss*",
            _SCHEMAS | {"thinking": Thinking.EFFORT, "efforts": frozenset({"low", "medium", "high"})},
        ),
        ("*llama-4*", _SCHEMAS),
        ("*kimi-k2*", _SCHEMAS),
    ),
)
