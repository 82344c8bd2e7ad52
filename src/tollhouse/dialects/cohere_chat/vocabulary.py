"""What the dialect is called, and how its callers spell what they can ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field

NAME: Final = "cohere_chat"

KNOWN: Final = frozenset(
    [
        "stream", "model", "messages", "tools", "strict_tools", "documents", "citation_options", "response_format",
        "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty",
        "presence_penalty", "k", "p", "logprobs", "tool_choice", "thinking", "priority",
    ]
)  # fmt: skip
"""The members of requests (SDK's `v2.client.chat`, read 2026-11-25)."""

WORDS: Final[Mapping[Field, str]] = {
    Field.TEMPERATURE: "temperature",
    Field.TOP_P: "p",
    Field.TOP_K: "k",
    Field.FREQUENCY_PENALTY: "frequency_penalty",
    Field.PRESENCE_PENALTY: "presence_penalty",
    Field.SEED: "seed",
    Field.STOP: "stop_sequences",
    Field.LOGPROBS: "logprobs",
    Field.MAX_OUTPUT_TOKENS: "max_tokens",
    Field.REASONING: "thinking",
    Field.THINKING_PARTS: "messages[].tool_plan",
    Field.OUTPUT_FORMAT: "response_format",
    Field.STRICT_TOOLS: "strict_tools",
    Field.TOOL_CHOICE: "tool_choice",
    Field.IMAGE_DETAIL: "messages[].content[].image_url.detail",
    Field.MEDIA: "messages[].content",
    Field.MEDIA_NAMES: "messages[].content[].document.data.title",
    Field.CITATIONS: "citation_options",
    Field.OPAQUE_PARTS: "messages[].content",
}
