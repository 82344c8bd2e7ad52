"""AES-256-GCM, in the binding of OpenSSL: envelopes for the keeper and for commands, and recorded answers (`answers`)
for workers that share them."""

from .envelopes import MasterKeySealer

__all__ = ["MasterKeySealer"]
