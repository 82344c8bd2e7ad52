"""How providers are opened: API keys in a header, signed requests, and tokens minted at an identity service."""

from .choice import opener_for
from .entra import EntraOpener
from .google import GoogleServiceAccountOpener
from .sigv4 import SigV4Opener

__all__ = ["EntraOpener", "GoogleServiceAccountOpener", "SigV4Opener", "opener_for"]
