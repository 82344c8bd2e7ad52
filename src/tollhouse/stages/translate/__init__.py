"""From the caller's request to the one an upstream gets, and from its answer to the one the caller gets."""

from .losses import header_text
from .metering import meter_of
from .own_paths import pass_through
from .translator import Translator, Workbench
from .way import find_way

__all__ = ["Translator", "Workbench", "find_way", "header_text", "meter_of", "pass_through"]
