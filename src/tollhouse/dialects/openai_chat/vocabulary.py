"""How callers of chat completions spell what requests can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field

NAME: Final = "openai_chat"

WORDS: Final[Mapping[Field, str]] = {
    Field.TEMPERATURE: "temperature",
    Field.TOP_P: "top_p",
    Field.TOP_K: "top_k",
    Field.FREQUENCY_PENALTY: "frequency_penalty",
    Field.PRESENCE_PENALTY: "presence_penalty",
    Field.SEED: "seed",
    Field.STOP: "stop",
    Field.N: "n",
    Field.LOGPROBS: "logprobs",
    Field.TOP_LOGPROBS: "top_logprobs",
    Field.LOGIT_BIAS: "logit_bias",
    Field.MAX_OUTPUT_TOKENS: "max_completion_tokens",
    Field.END_USER: "user",
    Field.METADATA: "metadata",
    Field.SERVICE_TIER: "service_tier",
    Field.PROMPT_CACHE_KEY: "prompt_cache_key",
    Field.PROMPT_CACHE_RETENTION: "prompt_cache_retention",
    Field.CACHE_MARKS: "cache_control",
    Field.VERBOSITY: "verbosity",
    Field.REASONING: "reasoning_effort",
    Field.REASONING_SUMMARY: "reasoning.summary",
    Field.THINKING_PARTS: "messages[].reasoning_content",
    Field.OUTPUT_FORMAT: "response_format",
    Field.STRICT_TOOLS: "tools[].function.strict",
    Field.PARALLEL_TOOL_CALLS: "parallel_tool_calls",
    Field.TOOL_CHOICE: "tool_choice",
    Field.CUSTOM_TOOL_GRAMMAR: "tools[].custom.format",
    Field.SERVER_TOOLS: "tools",
    Field.MESSAGE_NAMES: "messages[].name",
    Field.IMAGE_DETAIL: "messages[].content[].image_url.detail",
    Field.MEDIA: "messages[].content",
    Field.MEDIA_NAMES: "messages[].content[].file.filename",
    Field.CITATIONS: "messages[].annotations",
    Field.OPAQUE_PARTS: "messages[].content",
    Field.MODALITIES: "modalities",
    Field.STORE: "store",
}
