"""`additionalModelRequestFields`: what only some models take, in each maker's own words.

Thinking. Claude: `thinking` and `output_config`, as in Anthropic's own API ("Extended thinking" in the Amazon Bedrock
user guide, https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html). Nova 2:
`reasoningConfig`, whose highest effort excludes a temperature, a top P and a limit ("Extended thinking" in the Amazon
Nova developer guide, https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html). gpt-oss takes
`reasoning_effort`, Qwen `reasoning_config` with a word, as recorded calls show. All read 2026-11-25.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tollhouse.core.request import ChoiceMode, Field, ModelRequest, Reasoning
from tollhouse.dialects.ground_family.efforts import budget_of, effort_of, nearest
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking, Traits

from .conversation_out import Conversation

_LEAST_BUDGET: Final = 1024
"""Anthropic's bound."""
_LOWEST_TOP_P: Final = 0.95
"""What Claude takes while it thinks."""
_TAKES_BOTH: Final = re.compile(r"claude-(v2|instant|3|sonnet-4-2|opus-4-2)")
"""Models of Claude before Opus 4.1."""
_EFFORTS_OF: Final = {
    "anthropic": frozenset(["low", "medium", "high", "xhigh", "max"]),
    "amazon": frozenset(["low", "medium", "high"]),
    "openai": frozenset(["low", "medium", "high"]),
    "qwen": frozenset(["low", "medium", "high"]),
}
_TOP_K_OF: Final = frozenset(["anthropic", "mistral", "qwen"])
"""Who takes a plain `top_k`."""


class ModelFields:
    """The additional fields of one request, and what they mean for `inferenceConfig`."""

    __slots__ = ("_conversation", "_losses", "_request", "_traits", "fields", "is_thinking", "limit")

    def __init__(
        self, request: ModelRequest, traits: Traits, losses: Losses, conversation: Conversation
    ) -> None:
        self._request = request
        self._conversation = conversation
        self._traits = traits
        self._losses = losses
        self.fields: dict[str, Any] = {}
        self.is_thinking = False
        self.limit = request.max_output_tokens
        """Tokens of the answer, thoughts included; None: as many as the model can."""
        reasoning = request.reasoning
        if reasoning is not None and losses.takes(Field.REASONING):
            self._think(reasoning)
        self._summary(reasoning)
        self._top_k()

    # -- thinking

    def _think(self, reasoning: Reasoning) -> None:
        if reasoning == Reasoning(summary=reasoning.summary):
            return
        is_off = reasoning.is_enabled is False or reasoning.effort == "none"
        issuer = self._traits.issuer
        if self._traits.thinking is Thinking.NONE or issuer not in _EFFORTS_OF:
            if not is_off:
                self._losses.add(Field.REASONING, "This model cannot be told how much to think.")
        elif issuer == "anthropic":
            self._claude(reasoning, is_off=is_off)
        elif issuer == "amazon":
            self._nova(reasoning, is_off=is_off)
        elif is_off:
            self._losses.add(Field.REASONING, "This model cannot be told not to think.")
        else:
            name = "reasoning_effort" if issuer == "openai" else "reasoning_config"
            self.fields[name] = self._effort(reasoning)

    def _claude(self, reasoning: Reasoning, *, is_off: bool) -> None:
        is_adaptive = self._traits.thinking is Thinking.ADAPTIVE
        if is_off:
            if is_adaptive and "none" not in self._traits.efforts:
                self._losses.add(Field.REASONING, "This model always thinks.")
            elif is_adaptive:
                self.fields["thinking"] = {"type": "disabled"}
            return
        budget = None if is_adaptive else self._budget(reasoning)
        obstacle = self._obstacle(budget, is_adaptive=is_adaptive)
        if obstacle is not None:
            self._losses.add(Field.REASONING, obstacle)
            return
        self.is_thinking = True
        if budget is None:
            # Claude that decides itself how much to think tells of it only where it is asked to.
            shown = {None: {}, "none": {"display": "omitted"}}.get(
                reasoning.summary, {"display": "summarized"}
            )
            self.fields["thinking"] = {"type": "adaptive", **shown}
            if reasoning.effort is not None or reasoning.budget_tokens is not None:
                self.fields["output_config"] = {"effort": self._effort(reasoning)}
            return
        self.fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
        if self.limit is None:
            self.limit = self._traits.max_output_tokens  # Bedrock's own default may be less than the budget
        if reasoning.budget_tokens is not None and reasoning.budget_tokens != budget:
            why = f"The budget for thinking is {budget} tokens, not {reasoning.budget_tokens}."
            self._losses.add(Field.REASONING, why)

    def _obstacle(self, budget: int | None, *, is_adaptive: bool) -> str | None:
        """What Claude would refuse the call for."""
        choice = self._request.tool_choice
        if choice is not None and choice.mode is ChoiceMode.REQUIRED and self._request.tools:
            return "Claude does not think before a call it is forced to make."
        if self._conversation.is_prefilled:
            return "Claude does not think before an answer that has begun."
        if is_adaptive:
            return None
        if budget is None:
            return "The limit of the answer leaves no room to think."
        if self._conversation.lacks_thought:
            return "The conversation came without the thoughts before its last call, which Claude demands."
        return None

    def _nova(self, reasoning: Reasoning, *, is_off: bool) -> None:
        if is_off:
            return
        effort = self._effort(reasoning)
        if effort == "high" and self._request.max_output_tokens is not None:
            self._losses.add(Field.REASONING, "Nova thinks at its highest effort only without a limit.")
            effort = "medium"
        self.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
        self.is_thinking = effort == "high"

    def _effort(self, reasoning: Reasoning) -> str:
        wanted = reasoning.effort
        if wanted is None and reasoning.budget_tokens is not None:
            wanted = effort_of(reasoning.budget_tokens)
        known = _EFFORTS_OF[self._traits.issuer]
        return nearest(wanted or "medium", self._traits.efforts & known or known) or "medium"

    def _budget(self, reasoning: Reasoning) -> int | None:
        """Tokens to think with, fewer than the answer may have; None where that is too few."""
        limit = self.limit if self.limit is not None else self._traits.max_output_tokens
        budget = reasoning.budget_tokens
        if budget is None:
            budget = budget_of(reasoning.effort)
        budget = max(budget, _LEAST_BUDGET)
        if limit is None or budget < limit:
            return budget
        budget = max(limit // 2, _LEAST_BUDGET)  # half is left to the answer
        return budget if budget < limit else None

    def _summary(self, reasoning: Reasoning | None) -> None:
        is_told = "display" in self.fields.get("thinking", {})
        if reasoning is not None and reasoning.summary not in (None, "auto") and not is_told:
            self._losses.add(Field.REASONING_SUMMARY)

    # -- sampling

    def _top_k(self) -> None:
        top_k = self._request.sampling.top_k
        if top_k is None or not self._losses.takes(Field.TOP_K):
            return
        issuer = self._traits.issuer
        if issuer == "amazon":
            self.fields["inferenceConfig"] = {"topK": top_k}
        elif issuer not in _TOP_K_OF or (issuer == "anthropic" and self.is_thinking):
            self._losses.add(Field.TOP_K)
        else:
            self.fields["top_k"] = top_k

    def temperature(self) -> float | None:
        """What goes out. Converse takes 0 to 1; Claude none while it thinks, nor Nova at its highest effort."""
        wanted = self._request.sampling.temperature
        if wanted is None or not self._losses.takes(Field.TEMPERATURE):
            return None
        if self.is_thinking and wanted != 1:
            self._losses.add(Field.TEMPERATURE, "The model takes no temperature while it thinks.")
            return None
        if wanted > 1:
            self._losses.add(Field.TEMPERATURE, "The temperature is 1 at most.")
            return 1
        return wanted

    def top_p(self) -> float | None:
        """What goes out. Claude takes a temperature or a top P, not both, but for its older models."""
        sampling = self._request.sampling
        wanted = sampling.top_p
        if wanted is None or not self._losses.takes(Field.TOP_P):
            return None
        is_claude = self._traits.issuer == "anthropic"
        has_both = sampling.temperature is not None and not _TAKES_BOTH.search(self._request.model)
        is_excluded = (is_claude and has_both) or (
            self.is_thinking and (not is_claude or wanted < _LOWEST_TOP_P)
        )
        if is_excluded:
            self._losses.add(Field.TOP_P)
            return None
        return wanted
