"""State that lives and dies with this process."""

from .counters import LOAD_WAIT_S, MemoryCounters
from .purses import Purse
from .recall import MemoryRecall

__all__ = ["LOAD_WAIT_S", "MemoryCounters", "MemoryRecall", "Purse"]
