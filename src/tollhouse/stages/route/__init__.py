"""From a model's public name to what will be tried, in which order, and until when."""

from .clocks import moved_clocks
from .router import CLOCKS, PRIORITY, Router, passthrough_route, priority_of
from .session import session_of

__all__ = ("CLOCKS", "PRIORITY", "Router", "moved_clocks", "passthrough_route", "priority_of", "session_of")
