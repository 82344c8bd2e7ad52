"""How Gemini's callers spell what a request can say."""

from __future__ import annotations

from typing import Final

from tollhouse.core.request import Field

WORDS: Final = {
    Field.TEMPERATURE: "generationConfig.temperature",
    Field.TOP_P: "generationConfig.topP",
    Field.TOP_K: "generationConfig.topK",
    Field.FREQUENCY_PENALTY: "generationConfig.frequencyPenalty",
    Field.PRESENCE_PENALTY: "generationConfig.presencePenalty",
    Field.SEED: "generationConfig.seed",
    Field.STOP: "generationConfig.stopSequences",
    Field.N: "generationConfig.candidateCount",
    Field.LOGPROBS: "generationConfig.responseLogprobs",
    Field.TOP_LOGPROBS: "generationConfig.logprobs",
    Field.MAX_OUTPUT_TOKENS: "generationConfig.maxOutputTokens",
    Field.METADATA: "labels",
    Field.SERVICE_TIER: "serviceTier",
    Field.REASONING: "generationConfig.thinkingConfig",
    Field.REASONING_SUMMARY: "generationConfig.thinkingConfig.includeThoughts",
    Field.THINKING_PARTS: "contents.parts.thought",
    Field.OUTPUT_FORMAT: "generationConfig.responseSchema",
    Field.TOOL_CHOICE: "toolConfig.functionCallingConfig",
    Field.SERVER_TOOLS: "tools",
    Field.MEDIA: "contents.parts",
    Field.MEDIA_NAMES: "contents.parts.inlineData.displayName",
    Field.OPAQUE_PARTS: "contents.parts",
    Field.TOOL_ERRORS: "contents.parts.functionResponse",
    Field.MODALITIES: "generationConfig.responseModalities",
    Field.STORE: "store",
}

KNOWN: Final = frozenset(
    [
        "cachedContent", "cached_content", "contents", "generateContentRequest", "generate_content_request",
        "generationConfig", "generation_config", "labels", "model", "modelArmorConfig", "model_armor_config",
        "safetySettings", "safety_settings", "serviceTier", "service_tier", "store", "systemInstruction",
        "system_instruction", "toolConfig", "tool_config", "tools",
    ]
)  # fmt: skip
"""Top-level members of requests, in both spellings."""
