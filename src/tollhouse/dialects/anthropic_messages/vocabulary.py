"""The dialect's words: its name, and how its callers spell the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field

NAME: Final = "anthropic_messages"
ISSUER: Final = "anthropic"
"""Whose signatures stand here without a seal."""

KNOWN: Final = frozenset(
    [
        "model", "max_tokens", "messages", "stream", "system", "temperature", "top_p", "top_k", "stop_sequences",
        "tools", "tool_choice", "thinking", "output_config", "metadata", "service_tier", "cache_control", "container",
        "diagnostics", "inference_geo", "speed", "user_profile_id", "workspace_id",
        "billing_policy", "compaction", "context_management", "fallback_credit_token", "fallbacks", "mcp_servers",
        "output_format", "thread", "anthropic_version", "anthropic_beta",
    ]
)  # fmt: skip
"""The members of requests: SDK's `MessageCreateParams`, then those of its beta, then what Bedrock and Vertex want."""

WORDS: Final[Mapping[Field, str]] = {
    Field.TEMPERATURE: "temperature",
    Field.TOP_P: "top_p",
    Field.TOP_K: "top_k",
    Field.STOP: "stop_sequences",
    Field.MAX_OUTPUT_TOKENS: "max_tokens",
    Field.END_USER: "metadata.user_id",
    Field.SERVICE_TIER: "service_tier",
    Field.CACHE_MARKS: "cache_control",
    Field.REASONING: "thinking",
    Field.REASONING_SUMMARY: "thinking.display",
    Field.THINKING_PARTS: "messages[].content[].thinking",
    Field.OUTPUT_FORMAT: "output_config.format",
    Field.STRICT_TOOLS: "tools[].strict",
    Field.PARALLEL_TOOL_CALLS: "tool_choice.disable_parallel_tool_use",
    Field.TOOL_CHOICE: "tool_choice",
    Field.SERVER_TOOLS: "tools",
    Field.MEDIA: "messages[].content[].source",
    Field.MEDIA_NAMES: "messages[].content[].title",
    Field.CITATIONS: "messages[].content[].citations",
    Field.OPAQUE_PARTS: "messages[].content",
    Field.TOOL_ERRORS: "messages[].content[].is_error",
}
