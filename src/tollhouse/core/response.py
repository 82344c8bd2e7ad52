"""What is answered, whatever the wire API it is answered in."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .content import Part, TokenLogprob
from .usage import Usage


class FinishReason(StrEnum):
    """Why a model stopped."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    CONTEXT_FULL = "context_full"
    """The context window was full before the answer was."""
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    """A server tool is at work and the caller is to ask again (Anthropic's `pause_turn`)."""
    FAULTY_CALL = "faulty_call"
    """The model wrote a tool call nobody can read (Gemini's `MALFORMED_FUNCTION_CALL`)."""
    OTHER = "other"


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one choice."""

    reason: FinishReason
    raw: str = ""
    """The provider's word."""
    stop_sequence: str | None = None
    """Which of the caller's stop texts it was, where the provider says so."""
    explanation: str | None = None
    """The provider's sentence on it, where it has one."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of perhaps several to the same request."""

    parts: tuple[Part, ...]
    finish: Finish
    logprobs: tuple[TokenLogprob, ...] = ()


class ModelResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One call's answer."""

    id: str
    """The provider's name of it; empty where it has none."""
    model: str
    choices: tuple[Choice, ...]
    """At least one."""
    usage: Usage | None = None
    created_at: int | None = None
    """Seconds since the epoch, where the provider says so."""
    service_tier: str | None = None
