"""All packs together, compiled once."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from tollhouse.absorption.anthropic import PACK as ANTHROPIC
from tollhouse.absorption.gemini import PACK as GEMINI
from tollhouse.absorption.openai import PACK as OPENAI
from tollhouse.absorption.rules import Absorber

PACKS: Final = (OPENAI, ANTHROPIC, GEMINI)
RULES: Final = MappingProxyType({rule.name: rule for pack in PACKS for rule in pack.rules})
"""By name."""

absorb: Final = Absorber(PACKS).absorb


def lost(names: Iterable[str]) -> tuple[str, ...]:
    """What the upstream is not told any more once rules of these names have been applied, in the caller's words."""
    return tuple(dict.fromkeys(member for name in names for member in RULES[name].loses))
