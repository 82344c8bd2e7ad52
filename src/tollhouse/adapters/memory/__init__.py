"""State that lives and dies with this process."""

from .recall import MemoryRecall

__all__ = ["MemoryRecall"]
