"""The machine's own clock, randomness and key file."""

from .clock import SystemClock
from .master_key import MasterKeyUnusable, load_master_key

__all__ = ["MasterKeyUnusable", "SystemClock", "load_master_key"]
