"""What Anthropic renamed and retired in its Messages API, wherever Claude is served by it.

Not absorbed, because the answer would be another one: a tool that is forced, or words put into the assistant's mouth,
with models that refuse it. Not absorbed, because a body does not show it: what API version 2026-10-21 refuses and
2023-06-01 takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tollhouse.absorption.rules import Fields, Pack, Rule, renamed, with_value, without

_SERVED: Final = ("anthropic", "bedrock_anthropic", "vertex_anthropic")
_MESSAGES: Final = ("anthropic_messages",)
_SINCE_4_7: Final = (
    "*claude-opus-4-[789]*",
    "*claude-opus-[5-9]*",
    "*claude-sonnet-[5-9]*",
    "*claude-haiku-[5-9]*",
    "*claude-fable-*",
    "*claude-mythos-[5-9]*",
)
_ALWAYS_THINKING: Final = (
    "*claude-opus-5-5",
    "*claude-opus-5-5[!0-9]*",
    "*claude-fable-*",
    "*claude-mythos-[5-9]*",
)
_ONE_SAMPLER: Final = (
    "*claude-opus-4-[156]",
    "*claude-opus-4-[156][!0-9]*",
    "*claude-sonnet-4-[56]",
    "*claude-sonnet-4-[56][!0-9]*",
    "*claude-haiku-4-5",
    "*claude-haiku-4-5[!0-9]*",
)
_THINKING_PAGE: Final = "https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting"
_MIGRATION_PAGE: Final = "https://platform.claude.com/docs/en/about-claude/models/migration-guide"


def _adaptive(fields: Fields) -> Fields | None:
    """A budget has no successor: the model decides. Thoughts are shown as they were for callers who named one."""
    thinking = fields["thinking"]
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return None
    rest = {name: value for name, value in thinking.items() if name not in {"type", "budget_tokens"}}
    return with_value(fields, "thinking", {"type": "adaptive", "display": "summarized"} | rest)


def _thinking_anyway(fields: Fields) -> Fields | None:
    thinking = fields["thinking"]
    is_off = isinstance(thinking, dict) and thinking.get("type") == "disabled"
    return without(fields, "thinking") if is_off else None


def _dropping(name: str, neutral: float | None) -> Callable[[Fields], Fields | None]:
    def apply(fields: Fields) -> Fields | None:
        return None if fields[name] in (None, neutral) else without(fields, name)

    return apply


def _without(name: str, neutral: float | None, value: Any) -> Rule:
    return Rule(
        name=f"anthropic.without-{name.replace('_', '-')}",
        since="2026-04-16",
        source=_MIGRATION_PAGE,
        providers=_SERVED,
        dialects=_MESSAGES,
        models=_SINCE_4_7,
        when=(name,),
        apply=_dropping(name, neutral),
        loses=(name,),
        example=({"max_tokens": 9, name: value}, {"max_tokens": 9}),
    )


def _one_sampler(fields: Fields) -> Fields | None:
    return None if None in (fields["temperature"], fields["top_p"]) else without(fields, "top_p")


def _format_in_config(fields: Fields) -> Fields | None:
    output_format, config = fields["output_format"], fields.get("output_config")
    if output_format is None:
        return None
    if config is None:
        moved = renamed(without(fields, "output_config"), "output_format", "output_config")
        return with_value(moved, "output_config", {"format": output_format})
    if not isinstance(config, dict) or "format" in config:
        return None
    return with_value(without(fields, "output_format"), "output_config", config | {"format": output_format})


PACK: Final = Pack(
    name="anthropic",
    rules=(
        Rule(
            name="anthropic.adaptive-thinking",
            since="2026-04-16",
            source=_THINKING_PAGE,
            providers=_SERVED,
            dialects=_MESSAGES,
            models=_SINCE_4_7,
            when=("thinking",),
            apply=_adaptive,
            loses=("thinking.budget_tokens",),
            example=(
                {"thinking": {"type": "enabled", "budget_tokens": 2048}},
                {"thinking": {"type": "adaptive", "display": "summarized"}},
            ),
        ),
        Rule(
            name="anthropic.thinking-stays-on",
            since="2026-06-09",
            source="https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5",
            providers=_SERVED,
            dialects=_MESSAGES,
            models=_ALWAYS_THINKING,
            when=("thinking",),
            apply=_thinking_anyway,
            loses=("thinking",),
            example=({"thinking": {"type": "disabled"}, "stream": True}, {"stream": True}),
        ),
        _without("temperature", 1, 0.2),
        _without("top_p", 1, 0.9),
        _without("top_k", None, 40),
        Rule(
            name="anthropic.temperature-or-top-p",
            since="2025-08-05",
            source=_MIGRATION_PAGE,
            providers=_SERVED,
            dialects=_MESSAGES,
            models=_ONE_SAMPLER,
            when=("temperature", "top_p"),
            apply=_one_sampler,
            loses=("top_p",),
            example=({"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}),
        ),
        Rule(
            name="anthropic.format-in-output-config",
            since="2026-02-05",
            source="https://github.com/vercel/ai/issues/12298",
            providers=("bedrock_anthropic",),
            dialects=_MESSAGES,
            models=("*claude-opus-4-[56]*", "*claude-sonnet-4-[56]*"),
            when=("output_format",),
            reads=("output_config",),
            apply=_format_in_config,
            example=(
                {"output_format": {"type": "json_schema", "schema": {}}, "output_config": {"effort": "low"}},
                {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}}},
            ),
        ),
    ),
)
