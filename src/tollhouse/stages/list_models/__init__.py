"""The models a key may name: answered by the house itself, in the shape of the caller's API."""

from .book import ModelBook
from .listing import Ask, list_models

__all__ = ["Ask", "ModelBook", "list_models"]
