"""Signatures of tokens, checked with joserfc. Loaded only where the configuration has somebody who signs any."""

from .published import PublishedKeys

__all__ = ["PublishedKeys"]
