"""The machine's own clock and randomness, its key file, and what becomes of a process's memory."""

from .clock import SystemClock
from .dumps import forbid_dumps
from .master_key import MasterKeyUnusable, add_master_key, given_keyring, load_keyring

__all__ = [
    "MasterKeyUnusable",
    "SystemClock",
    "add_master_key",
    "forbid_dumps",
    "given_keyring",
    "load_keyring",
]
