"""Envelopes by AES-256-GCM, in the binding of OpenSSL. Used by the keeper and by commands, never by workers."""

from .envelopes import MasterKeySealer

__all__ = ["MasterKeySealer"]
