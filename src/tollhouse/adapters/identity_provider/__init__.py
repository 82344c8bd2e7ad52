"""What identity providers publish: their keys and, for single sign-on, where to go. Blocking; never used by workers."""

from .http import Answer, ProviderDown, call
from .key_source import KeySource, discover, read_keys
from .loopback import Loopback

__all__ = ["Answer", "KeySource", "Loopback", "ProviderDown", "call", "discover", "read_keys"]
