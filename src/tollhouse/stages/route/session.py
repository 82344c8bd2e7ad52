"""What makes calls belong together, for routes that keep them at one deployment whose cache is warm.

The session a caller names; where none is named, the beginning of the prompt: calls that begin alike find what they have
in common in the provider's cache, and a conversation that grows keeps its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from tollhouse.ports.dialect import ClientCall

HEADER: Final = b"x-tollhouse-session"
_NAMED: Final = ("prompt_cache_key", "session_id")
"""OpenAI's own word for it, and OpenRouter's."""
_BEGINNINGS: Final = (
    "system",
    "instructions",
    "systemInstruction",
    "tools",
    "messages",
    "input",
    "contents",
    "prompt",
)
_PROMPT_BYTES: Final = 4096
"""Providers cache from about a thousand tokens on: what is alike for less warms nothing."""


def session_of(call: ClientCall, headers: Mapping[bytes, bytes], tenant: str) -> bytes:
    """Equal for calls of one tenant that belong together. Looks at a bounded piece of the body."""
    hashed = blake2b(tenant.encode(), digest_size=16)
    named = headers.get(HEADER)
    if named is None:
        named = next((_value(call, name) for name in _NAMED if name in call.spans), None)
    if named is not None:
        hashed.update(b"session")
        hashed.update(named)
        return hashed.digest()
    left = _PROMPT_BYTES
    for name in _BEGINNINGS:
        span = call.spans.get(name)
        if span is not None and left > 0:
            piece = call.body[span[0] : min(span[1], span[0] + left)]
            left -= len(piece)
            hashed.update(piece)
    return hashed.digest()


def _value(call: ClientCall, name: str) -> bytes:
    start, end = call.spans[name]
    return call.body[start:end]
