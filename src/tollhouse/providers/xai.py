"""xAI.

Sources, read 2026-11-25: https://docs.x.ai/docs/api-reference (chat completions and Responses; `logit_bias` is not
taken) and https://docs.x.ai/developers/model-capabilities/text/reasoning (reasoning models refuse penalties and
`stop`; which models take an effort). Tools that run at xAI go by the Responses API. Models whose efforts were not
checked are left alone.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Thinking, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

_PLAIN = OPENAI_ONLY | {Field.LOGIT_BIAS}
_UNREASONING: Final[dict[str, Any]] = {"unsupported": _PLAIN, "thinking": Thinking.NONE}
_AS_IT_PLEASES: Final[dict[str, Any]] = {"thinking": Thinking.NONE}

PROVIDER = Provider(
    kind="xai",
    title="xAI",
    docs_url="https://docs.x.ai/docs/api-reference",
    base_url="https://api.x.ai/v1",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(
            operation=Operation.CHAT,
            dialect="openai_responses",
            path="/responses",
            traits=(("server_tools", frozenset({"web_search", "code_execution", "file_search", "mcp"})),),
        ),
    ),
    traits=Traits(
        issuer="xai",
        unsupported=_PLAIN | {Field.PRESENCE_PENALTY, Field.FREQUENCY_PENALTY, Field.STOP},
        efforts=frozenset({"low", "medium", "high"}),
        output_limit_field="max_tokens",
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
    models=(
        ("grok-4.3*", {"efforts": frozenset({"none", "low", "medium", "high"})}),
        ("grok-4.20*", _AS_IT_PLEASES),
        ("grok-4", _AS_IT_PLEASES),
        ("grok-4-*", _AS_IT_PLEASES),
        ("grok-build*", _AS_IT_PLEASES),
        ("grok-code*", _AS_IT_PLEASES),
        ("grok-[23]*", _UNREASONING),
        ("grok-3-mini*", {"thinking": Thinking.EFFORT, "efforts": frozenset({"low", "high"})}),
        ("*non-reasoning*", _UNREASONING),
    ),
)
