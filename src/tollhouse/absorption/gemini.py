"""What Google renamed and retired in Gemini's generateContent.

Not absorbed, because it is taken: a `thinkingBudget` alone with models that have levels.
"""

from __future__ import annotations

from typing import Final

from tollhouse.absorption.rules import Fields, Pack, Rule, with_value

_SPELLINGS: Final = ("generationConfig", "generation_config")
_BUDGETS: Final = frozenset({"thinkingBudget", "thinking_budget"})
_LEVELS: Final = frozenset({"thinkingLevel", "thinking_level"})


def _level_or_budget(spelling: str, fields: Fields) -> Fields | None:
    """Both are refused; the level is the newer word for it."""
    config = fields[spelling]
    if not isinstance(config, dict):
        return None
    for name in ("thinkingConfig", "thinking_config"):
        thinking = config.get(name)
        if isinstance(thinking, dict) and _BUDGETS & thinking.keys() and _LEVELS & thinking.keys():
            kept = {member: value for member, value in thinking.items() if member not in _BUDGETS}
            return with_value(fields, spelling, config | {name: kept})
    return None


def _rule(spelling: str) -> Rule:
    return Rule(
        name=f"gemini.level-not-budget-in-{spelling.lower().replace('_', '-')}",
        since="2025-11-18",
        source="https://ai.google.dev/gemini-api/docs/gemini-3",
        providers=("gemini", "vertex"),
        dialects=("gemini_generate",),
        models=("*gemini-[3-9]*",),
        when=(spelling,),
        apply=lambda fields: _level_or_budget(spelling, fields),
        loses=(f"{spelling}.thinkingConfig.thinkingBudget",),
        example=(
            {spelling: {"thinkingConfig": {"thinkingBudget": 512, "thinkingLevel": "low"}, "seed": 1}},
            {spelling: {"thinkingConfig": {"thinkingLevel": "low"}, "seed": 1}},
        ),
    )


PACK: Final = Pack(name="gemini", rules=tuple(_rule(spelling) for spelling in _SPELLINGS))
