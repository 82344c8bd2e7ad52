"""What is known of OpenAI's models, whoever serves them, and of what is OpenAI's alone in its chat completions.

Sources, read 2026-11-25: https://developers.openai.com/api/docs/guides/reasoning and
https://developers.openai.com/api/docs/guides/latest-model (efforts; which models take sampling parameters, and that
those of 5.1 to 5.4 take them while they do not reason), https://platform.openai.com/docs/guides/structured-outputs,
https://platform.openai.com/docs/guides/function-calling (custom tools from GPT-5 on), the `ReasoningEffort` and model
lists of openai-python 3.57.0. That GPT-5.6 takes functions with reasoning by the Responses API only is its own words
in an answer. For the models of GPT-6 other than `gpt-6-astra` the page of GPT-5.6 is taken to hold.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.request import Field
from tollhouse.ports.provider import Support, Thinking

OPENAI_ONLY: Final = frozenset(
    {
        Field.METADATA,
        Field.MODALITIES,
        Field.PROMPT_CACHE_KEY,
        Field.PROMPT_CACHE_RETENTION,
        Field.SERVICE_TIER,
        Field.STORE,
        Field.VERBOSITY,
    }
)
"""Chat completions has them at OpenAI; elsewhere they are refused, or taken and passed over without a word."""

OPENAI_SERVER_TOOLS: Final = frozenset(
    {"web_search", "code_execution", "file_search", "image_generation", "computer_use", "mcp"}
)
"""By the Responses API."""

_RESPONSES: Final = "openai_responses"
_SAMPLING: Final = frozenset(
    {
        Field.TEMPERATURE,
        Field.TOP_P,
        Field.FREQUENCY_PENALTY,
        Field.PRESENCE_PENALTY,
        Field.LOGPROBS,
        Field.TOP_LOGPROBS,
        Field.LOGIT_BIAS,
    }
)
_REASONING: Final[dict[str, Any]] = {
    "unsupported": _SAMPLING,
    "efforts": frozenset({"low", "medium", "high", "xhigh", "max"}),
    "takes_custom_tools": True,
}
_FREE: Final[dict[str, Any]] = {"unsupported": frozenset()}
_ONLY_RESPONSES: Final[dict[str, Any]] = {"only_dialect": _RESPONSES}
_TOOLS_BY_RESPONSES: Final[dict[str, Any]] = {"tools_dialect": _RESPONSES}
_OF_O: Final[dict[str, Any]] = {
    "unsupported": _SAMPLING | {Field.VERBOSITY},
    "efforts": frozenset({"low", "medium", "high"}),
    "takes_custom_tools": False,
}
_UNREASONING: Final[dict[str, Any]] = {
    "thinking": Thinking.NONE,
    "unsupported": frozenset({Field.VERBOSITY}),
    "takes_custom_tools": False,
}
_FIRST_O1: Final[dict[str, Any]] = _OF_O | {
    "thinking": Thinking.NONE,
    "instruction_role": "user",
    "json_schema": Support.REFUSED,
    "json_object": Support.REFUSED,
}
_WITHOUT_SCHEMAS: Final[dict[str, Any]] = {"json_schema": Support.EMULATED}
_WITHOUT_JSON: Final[dict[str, Any]] = _WITHOUT_SCHEMAS | {"json_object": Support.EMULATED}


def _efforts(*words: str) -> dict[str, Any]:
    return {"efforts": frozenset(words)}


OPENAI: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("*gpt-[5-9]*", _REASONING),
    ("*gpt-[6-9]*", _TOOLS_BY_RESPONSES),
    ("*gpt-5.6*", _efforts("none", "low", "medium", "high", "xhigh", "max") | _TOOLS_BY_RESPONSES),
    ("*gpt-5.5*", _efforts("none", "low", "medium", "high", "xhigh")),
    ("*gpt-5.[1-4]*", _FREE | _efforts("none", "low", "medium", "high", "xhigh")),
    ("*gpt-5.1*", _efforts("none", "low", "medium", "high")),
    ("*gpt-5.[1-3]-chat*", _REASONING | _efforts("medium")),
    ("*gpt-5.1-codex*", _REASONING | _efforts("low", "medium", "high")),
    ("*gpt-5.1-codex-max*", _efforts("low", "medium", "high", "xhigh")),
    ("*gpt-5.*-pro", _REASONING | _ONLY_RESPONSES | _efforts("medium", "high", "xhigh")),
    ("*gpt-5.*-pro-*", _REASONING | _ONLY_RESPONSES | _efforts("medium", "high", "xhigh")),
    ("*gpt-5", _efforts("minimal", "low", "medium", "high")),
    ("*gpt-5-*", _efforts("minimal", "low", "medium", "high")),
    ("*gpt-5-pro", _ONLY_RESPONSES | _efforts("high")),
    ("*gpt-5-pro-*", _ONLY_RESPONSES | _efforts("high")),
    ("*gpt-5*-codex*", _ONLY_RESPONSES),
    ("*gpt-5-chat*", _UNREASONING),
    ("o[1-9]", _OF_O),
    ("o[1-9]-*", _OF_O),
    ("o1-mini*", _FIRST_O1),
    ("o1-preview*", _FIRST_O1),
    ("o[13]-pro", _ONLY_RESPONSES),
    ("o[13]-pro-*", _ONLY_RESPONSES),
    ("codex-mini*", _OF_O | _ONLY_RESPONSES),
    ("*-deep-research*", _ONLY_RESPONSES),
    ("computer-use-preview*", _ONLY_RESPONSES),
    ("*gpt-4*", _UNREASONING),
    ("*gpt-3*", _UNREASONING | _WITHOUT_SCHEMAS),
    ("gpt-4", _WITHOUT_JSON),
    ("gpt-4-*", _WITHOUT_SCHEMAS),
    ("gpt-4-0[36]1[34]", _WITHOUT_JSON),
    ("gpt-4-32k*", _WITHOUT_JSON),
    ("gpt-4o-2024-05-13", _WITHOUT_SCHEMAS),
)
"""Rows for `Provider.models`."""
