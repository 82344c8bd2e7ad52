"""The page: one exchange through the rooms of the house, in order. `page` is where to begin reading."""

from .house import Door, House
from .page import refuse, serve
from .presence import Presence

__all__ = ["Door", "House", "Presence", "refuse", "serve"]
