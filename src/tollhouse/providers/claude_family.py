"""What is known of Claude's models, whoever serves them: shared by every provider that does.

Sources, read 2026-11-25: https://platform.claude.com/docs/en/models/overview (limits),
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting (which model takes which thinking),
https://platform.claude.com/docs/en/build-with-claude/effort (efforts; that 4.6 refuses `xhigh` is its own words in an
answer), https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5 (no forced tools, thinking that cannot
be switched off; Fable 5.1 alike), https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html.

A model nobody has heard of is taken for one of the newest. Not checked for models before 3.7: their limits are those
of the pages of their time.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.request import Field
from tollhouse.ports.provider import Support, Thinking

_LEVELS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})

NEWEST_CLAUDE: Final[dict[str, Any]] = {
    "issuer": "anthropic",
    "thinking": Thinking.ADAPTIVE,
    "efforts": _LEVELS | {"none"},
    "unsupported": frozenset({Field.TEMPERATURE, Field.TOP_P, Field.TOP_K}),
    "json_schema": Support.NATIVE,
    "json_object": Support.EMULATED,
    "max_output_tokens": 128_000,
}
_ALWAYS_THINKING: Final[dict[str, Any]] = {"efforts": _LEVELS}
_UNFORCED: Final[dict[str, Any]] = {"takes_forced_tools": False, "json_object": Support.REFUSED}
_OF_4_6: Final[dict[str, Any]] = {
    "efforts": frozenset({"none", "low", "medium", "high", "max"}),
    "unsupported": frozenset(),
}
_BY_BUDGET: Final[dict[str, Any]] = {
    "thinking": Thinking.BUDGET,
    "unsupported": frozenset(),
    "max_output_tokens": 64_000,
}
_WITHOUT_SCHEMAS: Final[dict[str, Any]] = {"json_schema": Support.EMULATED, "takes_strict_tools": False}
_OF_4_0: Final[dict[str, Any]] = _BY_BUDGET | _WITHOUT_SCHEMAS
_OF_3_5: Final[dict[str, Any]] = _OF_4_0 | {"thinking": Thinking.NONE, "max_output_tokens": 8192}
_OF_3: Final[dict[str, Any]] = _OF_3_5 | {"max_output_tokens": 4096}
_32K: Final[dict[str, Any]] = {"max_output_tokens": 32_000}


def _named(name: str, *changes: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Rows for a name with whatever stands around it, but not for one whose last number only begins so."""
    changed: dict[str, Any] = {}
    for change in changes:
        changed |= change
    return (f"*{name}", changed), (f"*{name}[!0-9]*", changed)


CLAUDE: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("*claude*", NEWEST_CLAUDE),
    ("*claude-fable*", _ALWAYS_THINKING),
    ("*claude-mythos*", _ALWAYS_THINKING),
    *_named("claude-fable-5[-.][1-9]", _UNFORCED),
    *_named("claude-mythos-5[-.][1-9]", _UNFORCED),
    *_named("claude-opus-5[-.]5", _ALWAYS_THINKING, _UNFORCED),
    *_named("claude-opus-4[-.]6", _OF_4_6),
    *_named("claude-sonnet-4[-.]6", _OF_4_6),
    *_named("claude-opus-4[-.]5", _BY_BUDGET),
    *_named("claude-sonnet-4[-.]5", _BY_BUDGET),
    *_named("claude-haiku-4[-.]5", _BY_BUDGET),
    *_named("claude-opus-4[-.]1", _BY_BUDGET, _32K),
    *_named("claude-opus-4[-.]0", _OF_4_0, _32K),
    *_named("claude-sonnet-4[-.]0", _OF_4_0),
    *_named("claude-opus-4[-@]2025[0-9][0-9][0-9][0-9]", _OF_4_0, _32K),
    *_named("claude-sonnet-4[-@]2025[0-9][0-9][0-9][0-9]", _OF_4_0),
    ("*claude-opus-4", _OF_4_0 | _32K),
    ("*claude-sonnet-4", _OF_4_0),
    ("*claude-4-opus*", _OF_4_0 | _32K),
    ("*claude-4-sonnet*", _OF_4_0),
    ("*claude-3[-.]7*", _OF_4_0),
    ("*claude-3[-.]5*", _OF_3_5),
    ("*claude-3[-.]5-sonnet?20240620*", _OF_3),
    ("*claude-3-opus*", _OF_3),
    ("*claude-3-sonnet*", _OF_3),
    ("*claude-3-haiku*", _OF_3),
    ("*claude-2*", _OF_3),
    ("*claude-v2*", _OF_3),
    ("*claude-instant*", _OF_3),
)
"""Rows for `Provider.models`."""
