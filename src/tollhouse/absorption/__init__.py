"""Version absorption: what a provider renamed or retired is put right inside, so that callers written against an
older API go on working. Rules are dated data, one pack per provider; `rules` applies them.
"""

from __future__ import annotations

from tollhouse.absorption.betas import filter_betas
from tollhouse.absorption.packs import PACKS, RULES, absorb, lost

__all__ = ["PACKS", "RULES", "absorb", "filter_betas", "lost"]
