"""Choices: what whole and streamed ones have in common."""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import GatewayError
from tollhouse.dialects.ground_family.refusals import in_band_error

_ENDED_IN_ERROR: Final = "error"
"""Not a finish reason of OpenAI's; OpenRouter and Mistral end a choice by it that failed."""
_LONGEST_REASON: Final = 100


def finish_reason_of(value: object) -> str | None:
    """The provider's word; None for null, and for the empty text some send until there is one."""
    return value[:_LONGEST_REASON] if isinstance(value, str) and value else None


def choice_error(finish_reason: object, error: object) -> GatewayError | None:
    """The error a choice carries, if it does."""
    if error and isinstance(error, dict | str):
        return in_band_error(error)
    return in_band_error(None) if finish_reason == _ENDED_IN_ERROR else None
