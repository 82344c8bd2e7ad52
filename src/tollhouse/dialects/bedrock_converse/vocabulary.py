"""The dialect's name, and how its callers spell the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.request import Field

NAME: Final = "bedrock_converse"

KNOWN: Final = frozenset(
    [
        "additionalModelRequestFields", "additionalModelResponseFieldPaths", "guardrailConfig", "inferenceConfig",
        "messages", "outputConfig", "performanceConfig", "projectIdentifier", "promptVariables", "requestMetadata",
        "serviceTier", "system", "toolConfig",
    ]
)  # fmt: skip
"""The members of ConverseRequest in Bedrock's service model 2023-09-30 of botocore 1.44.8, read 2026-11-25."""

WORDS: Final[Mapping[Field, str]] = {
    Field.TEMPERATURE: "inferenceConfig.temperature",
    Field.TOP_P: "inferenceConfig.topP",
    Field.TOP_K: "additionalModelRequestFields.top_k",
    Field.STOP: "inferenceConfig.stopSequences",
    Field.MAX_OUTPUT_TOKENS: "inferenceConfig.maxTokens",
    Field.METADATA: "requestMetadata",
    Field.SERVICE_TIER: "serviceTier",
    Field.CACHE_MARKS: "cachePoint",
    Field.REASONING: "additionalModelRequestFields.thinking",
    Field.REASONING_SUMMARY: "additionalModelRequestFields.thinking.display",
    Field.THINKING_PARTS: "messages[].content[].reasoningContent",
    Field.OUTPUT_FORMAT: "outputConfig.textFormat",
    Field.STRICT_TOOLS: "toolConfig.tools[].toolSpec.strict",
    Field.TOOL_CHOICE: "toolConfig.toolChoice",
    Field.SERVER_TOOLS: "toolConfig.tools[].systemTool",
    Field.MEDIA: "messages[].content[].source",
    Field.MEDIA_NAMES: "messages[].content[].document.name",
    Field.CITATIONS: "messages[].content[].citationsContent",
    Field.OPAQUE_PARTS: "messages[].content",
    Field.TOOL_ERRORS: "messages[].content[].toolResult.status",
}
