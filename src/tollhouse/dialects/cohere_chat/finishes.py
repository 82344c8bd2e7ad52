"""Why a model stopped, in Cohere's words and in the house's."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import GatewayError
from tollhouse.core.response import Finish, FinishReason
from tollhouse.dialects.ground_family.refusals import in_band_error

_FAILED: Final = "ERROR"
_LONGEST_WORD: Final = 100
_MEANINGS: Final = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP_SEQUENCE,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
    "ERROR_TOXIC": FinishReason.CONTENT_FILTER,
    "ERROR_LIMIT": FinishReason.CONTEXT_FULL,
}
"""`TIMEOUT` and whatever else there may be is OTHER; `ERROR` is no end of an answer but an error."""
_WORDS: Final = {
    FinishReason.STOP_SEQUENCE: "STOP_SEQUENCE",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_FULL: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "TOOL_CALL",
    FinishReason.CONTENT_FILTER: "ERROR",
    FinishReason.FAULTY_CALL: "ERROR",
}


def finish_word(value: object) -> str | None:
    """The provider's word; None where there is none."""
    return value[:_LONGEST_WORD] if isinstance(value, str) and value else None


def finish_of(value: object) -> Finish:
    """The end of the answer. Total: any JSON value will do."""
    word = finish_word(value) or ""
    return Finish(reason=_MEANINGS.get(word.upper(), FinishReason.OTHER), raw=word)


def failure_of(end: dict[str, Any]) -> GatewayError | None:
    """The error an answer, or the `delta` at the end of a stream, carries, if it does."""
    error = end.get("error")
    if error:
        return in_band_error(error)
    return in_band_error(None) if end.get("finish_reason") == _FAILED else None


def word_of(finish: Finish, *, has_calls: bool) -> str:
    """Cohere's word for the end of an answer."""
    if has_calls and finish.reason is FinishReason.STOP:
        return "TOOL_CALL"
    return _WORDS.get(finish.reason, "COMPLETE")
