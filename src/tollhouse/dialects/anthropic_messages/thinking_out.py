"""Whether and how much to think, as Anthropic takes it.

Sources: guides "Extended thinking", "Adaptive thinking" and "Effort", https://platform.claude.com/docs/en/build-with-claude/,
read 2026-11-25: a budget is at least 1024 tokens and less than `max_tokens`, which counts the thinking too; thinking
goes with no forced tool, no prefilled answer and no other sampling than the default; with a budget, a turn of the
assistant's that calls tools must begin with its reasoning.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.request import Field, ModelRequest, Reasoning
from tollhouse.dialects.ground_family.efforts import budget_of, effort_of, nearest
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking, Traits

LEAST_BUDGET: Final = 1024
_SPOKEN: Final = frozenset(["low", "medium", "high", "xhigh", "max"])
"""Those the API knows (SDK type `OutputConfigParam`)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of it. `thinking` and `effort` are None where nothing is."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


class Obstacles(msgspec.Struct, frozen=True, kw_only=True):
    """What forbids thinking."""

    is_forced: bool
    """Whether a tool is forced: the caller's program relies on the call more than on what was thought before."""
    is_prefilled: bool
    lacks_reasoning: bool
    """Whether the last turn that called tools came without its reasoning."""

    def why(self, *, has_budget: bool) -> str | None:
        if self.is_forced:
            return "Claude does not think before a call it is forced to make."
        if self.is_prefilled:
            return "Claude does not think before an answer that has begun."
        if self.lacks_reasoning and has_budget:
            return (
                "The conversation came without the reasoning before its last tool call, which Claude demands."
            )
        return None


def plan(
    request: ModelRequest, traits: Traits, losses: Losses, obstacles: Obstacles, *, fallback_limit: int
) -> Plan:
    """How this request is to think. `fallback_limit` is the output limit where the caller named none."""
    limit = request.max_output_tokens
    quiet = Plan(max_tokens=limit if limit is not None else traits.max_output_tokens or fallback_limit)
    wish = request.reasoning
    if wish is None:
        return quiet
    if not _wants(wish):
        if wish.summary not in (None, "none"):
            losses.add(Field.REASONING_SUMMARY)
        return msgspec.structs.replace(quiet, thinking=_off(wish, traits, losses))
    if traits.thinking is Thinking.NONE:
        losses.add(Field.REASONING)
        return quiet
    is_adaptive = traits.thinking is Thinking.ADAPTIVE
    why = obstacles.why(has_budget=not is_adaptive)
    if not losses.takes(Field.REASONING) or why is not None:
        losses.add(Field.REASONING, why or "")
        return quiet
    return _adaptive(wish, traits, quiet) if is_adaptive else _budgeted(wish, traits, losses, quiet, limit)


def _off(wish: Reasoning, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    """How thinking is switched off, where that is the wish and it would be on."""
    if not _is_off(wish) or traits.thinking is Thinking.NONE or Field.REASONING in traits.unsupported:
        return None
    if "none" not in traits.efforts:
        losses.add(Field.REASONING, "This model always thinks.")
        return None
    return {"type": "disabled"}


def _is_off(wish: Reasoning) -> bool:
    return wish.is_enabled is False or wish.effort == "none" or wish.budget_tokens == 0


def _wants(wish: Reasoning) -> bool:
    return not _is_off(wish) and bool(wish.is_enabled or wish.effort or wish.budget_tokens)


def _adaptive(wish: Reasoning, traits: Traits, quiet: Plan) -> Plan:
    thinking: dict[str, Any] = {"type": "adaptive"}
    if wish.summary is not None:
        thinking["display"] = "omitted" if wish.summary == "none" else "summarized"
    effort = wish.effort
    if effort is None and wish.budget_tokens is not None and wish.budget_tokens > 0:
        effort = effort_of(wish.budget_tokens)
    if effort is not None:
        effort = nearest(effort, traits.efforts & _SPOKEN or _SPOKEN)
    return msgspec.structs.replace(quiet, thinking=thinking, effort=effort)


def _budgeted(wish: Reasoning, traits: Traits, losses: Losses, quiet: Plan, limit: int | None) -> Plan:
    asked = wish.budget_tokens if wish.budget_tokens is not None and wish.budget_tokens > 0 else None
    budget = max(asked or budget_of(wish.effort), LEAST_BUDGET)
    max_tokens = quiet.max_tokens
    if limit is None and traits.max_output_tokens is None:
        max_tokens += budget  # nobody said how long the answer may be: the thinking does not shorten it
    if budget >= max_tokens:
        # Half is left to the answer, where half is enough to think at all.
        budget = max(max_tokens // 2, LEAST_BUDGET)
    if budget >= max_tokens:
        losses.add(Field.REASONING, f"Within {max_tokens} tokens there is no room for thinking.")
        return quiet
    if asked is not None and asked != budget:
        losses.add(Field.REASONING, f"The thinking budget is {budget} tokens, not {asked}.")
    thinking: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
    if wish.summary == "none":
        thinking["display"] = "omitted"
    return Plan(max_tokens=max_tokens, thinking=thinking)
