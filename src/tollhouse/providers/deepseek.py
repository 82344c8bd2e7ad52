"""DeepSeek.

Sources, read 2026-11-25: https://api-docs.deepseek.com (three wire APIs: chat completions, Responses, and Anthropic's
below `/anthropic`), https://api-docs.deepseek.com/api/create-chat-completion (what a request may have) and
https://api-docs.deepseek.com/guides/thinking_mode (on by default; `thinking` switches it, and what was thought before
a tool was called must come back as `reasoning_content`). A schema is refused by chat completions and kept by the
Responses API. While the model thinks, a tool cannot be forced.
"""

from __future__ import annotations

from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.ports.provider import Endpoint, Provider, Support, Thinking, Traits
from tollhouse.providers.openai_family import OPENAI_ONLY

PROVIDER = Provider(
    kind="deepseek",
    title="DeepSeek",
    docs_url="https://api-docs.deepseek.com/api/create-chat-completion",
    base_url="https://api.deepseek.com",
    endpoints=(
        Endpoint(operation=Operation.CHAT, dialect="openai_chat", path="/chat/completions"),
        Endpoint(
            operation=Operation.CHAT,
            dialect="openai_responses",
            path="/responses",
            traits=(
                ("json_schema", Support.NATIVE),
                ("thinking", Thinking.EFFORT),
                ("keeps_responses", False),
            ),
        ),
        Endpoint(operation=Operation.CHAT, dialect="anthropic_messages", path="/anthropic/v1/messages"),
    ),
    traits=Traits(
        issuer="deepseek",
        unsupported=OPENAI_ONLY
        | {Field.LOGIT_BIAS, Field.SEED, Field.N, Field.END_USER, Field.PARALLEL_TOOL_CALLS},
        json_schema=Support.EMULATED,
        thinking=Thinking.SWITCH,
        efforts=frozenset({"none", "low", "high", "max"}),
        output_limit_field="max_tokens",
        reasoning_history="reasoning_content",
        takes_forced_tools=False,
        takes_document_urls=False,
        takes_result_media=False,
        takes_strict_tools=False,
    ),
    models=(("deepseek-chat", {"takes_forced_tools": True}),),
)
