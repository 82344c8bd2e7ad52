"""How much Gemini is to think.

Source: https://ai.google.dev/gemini-api/docs/thinking and https://ai.google.dev/gemini-api/docs/openai (which effort is
which budget and level), read 2026-11-25: Gemini 2.5 takes a budget, 0 for none and -1 for as much as it pleases, Gemini
3 a level. Both at once are refused.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.request import Field, Reasoning
from tollhouse.dialects.ground_family.efforts import budget_of, effort_of, nearest
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking, Traits

_MOST_BUDGET: Final = 24_576
"""Of Gemini 2.5 Flash; Pro takes a little more."""
_LEAST_BUDGET: Final = 128
"""Of models that cannot but think."""
_LEVELS: Final = frozenset(["minimal", "low", "medium", "high", "xhigh"])
_PLEASES: Final = -1


def thinking_config(reasoning: Reasoning | None, traits: Traits, losses: Losses) -> dict[str, Any]:
    """The `thinkingConfig`; empty where nothing is to be said."""
    if reasoning is None or reasoning == Reasoning():
        return {}
    if Field.REASONING in traits.unsupported or traits.thinking not in (Thinking.BUDGET, Thinking.LEVEL):
        if _asks_for_thought(reasoning):
            losses.add(Field.REASONING)
        if reasoning.summary not in (None, "none"):
            losses.add(Field.REASONING_SUMMARY)
        return {}
    config = _budget(reasoning, traits, losses) if traits.thinking is Thinking.BUDGET else {}
    if traits.thinking is Thinking.LEVEL:
        config = _level(reasoning, traits, losses)
    is_off = config.get("thinkingBudget") == 0
    if reasoning.summary == "none":
        return {"includeThoughts": False, **config}
    return config if is_off else {"includeThoughts": True, **config}


def _asks_for_thought(reasoning: Reasoning) -> bool:
    return not (reasoning.is_enabled is None and reasoning.effort is None and reasoning.budget_tokens is None)


def _budget(reasoning: Reasoning, traits: Traits, losses: Losses) -> dict[str, Any]:
    effort = "none" if reasoning.is_enabled is False else reasoning.effort
    if reasoning.budget_tokens is not None and effort != "none":
        return {"thinkingBudget": reasoning.budget_tokens}
    if effort == "none" and "none" not in traits.efforts:
        losses.add(Field.REASONING, "The model cannot but think; it is asked to think as little as it can.")
        return {"thinkingBudget": _LEAST_BUDGET}
    if effort is not None:
        return {"thinkingBudget": min(budget_of(effort), _MOST_BUDGET)}
    return {"thinkingBudget": _PLEASES} if reasoning.is_enabled else {}


def _level(reasoning: Reasoning, traits: Traits, losses: Losses) -> dict[str, Any]:
    effort = "none" if reasoning.is_enabled is False else reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        effort = effort_of(reasoning.budget_tokens)
    if effort is None:
        return {}
    if effort == "none":
        losses.add(Field.REASONING, "The model cannot but think; it is asked to think as little as it can.")
    return {"thinkingLevel": nearest(effort, traits.efforts & _LEVELS or _LEVELS)}
