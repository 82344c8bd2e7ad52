"""Why a candidate ended, in Gemini's words and the house's.

Source: FinishReason and BlockedReason in https://ai.google.dev/api/generate-content and in google-genai 3.6.1, read
2026-11-25; the numbers are those of the protocol buffers, which `$alt=json;enum-encoding=int` asks for.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.response import Finish, FinishReason

_BY_NUMBER: Final = (
    "FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST",
    "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL",
)  # fmt: skip
_UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"

_READ: Final = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "ESCALATION": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.FAULTY_CALL,
    "UNEXPECTED_TOOL_CALL": FinishReason.FAULTY_CALL,
    "TOO_MANY_TOOL_CALLS": FinishReason.FAULTY_CALL,
}

_WRITTEN: Final = {
    FinishReason.STOP: "STOP",
    FinishReason.STOP_SEQUENCE: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_FULL: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.FAULTY_CALL: "MALFORMED_FUNCTION_CALL",
    FinishReason.PAUSE: "OTHER",
    FinishReason.OTHER: "OTHER",
}

_LONGEST_WORD: Final = 100


def finish_word(value: object) -> str | None:
    """The provider's word; None while the candidate goes on."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = _BY_NUMBER[value] if 0 <= value < len(_BY_NUMBER) else f"{value}"
    if not isinstance(value, str) or value in ("", _UNSPECIFIED):
        return None
    return value[:_LONGEST_WORD]


def finish_of(word: str, explanation: object, *, has_calls: bool) -> Finish:
    """The end of a candidate. Gemini says STOP where it wants tools to be run."""
    reason = _READ.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and has_calls:
        reason = FinishReason.TOOL_CALLS
    return Finish(
        reason=reason,
        raw=word,
        explanation=explanation if isinstance(explanation, str) and explanation else None,
    )


def blocked(word: str, explanation: object) -> Finish:
    """The end of an answer that was refused before it began."""
    said = explanation if isinstance(explanation, str) and explanation else None
    return Finish(
        reason=FinishReason.CONTENT_FILTER,
        raw=word,
        explanation=said or f"The provider blocked the prompt ({word}).",
    )


def written_finish(finish: Finish) -> str:
    """Gemini's word: the provider's own where it was one."""
    known = _READ.get(finish.raw)
    return finish.raw if known is finish.reason else _WRITTEN[finish.reason]
