"""Why an answer ended: Anthropic's `stop_reason` and the house's word for it."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.response import Finish, FinishReason

_LONGEST_REASON: Final = 100
_READ: Final = {
    "end_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
    "model_context_window_exceeded": FinishReason.CONTEXT_FULL,
    # Servers that speak the dialect over models of others:
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_WRITTEN: Final = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.CONTEXT_FULL: "model_context_window_exceeded",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.REFUSAL: "refusal",
    FinishReason.PAUSE: "pause_turn",
    FinishReason.FAULTY_CALL: "end_turn",
    FinishReason.OTHER: "end_turn",
}
_OWN: Final = ("compaction",)
"""Reasons nobody else has: the dialect's callers get them as they came."""


def reason_of(value: object) -> str | None:
    """The provider's word, bounded; None for null."""
    return value[:_LONGEST_REASON] if isinstance(value, str) and value else None


def finish_of(stop_reason: object, stop_sequence: object, stop_details: object) -> Finish:
    """The end of an answer. Total: any JSON values will do."""
    raw = reason_of(stop_reason) or ""
    explanation = stop_details.get("explanation") if isinstance(stop_details, dict) else None
    return Finish(
        reason=_READ.get(raw, FinishReason.OTHER),
        raw=raw,
        stop_sequence=stop_sequence if isinstance(stop_sequence, str) else None,
        explanation=explanation if isinstance(explanation, str) else None,
    )


def finish_out(finish: Finish, *, has_calls: bool) -> dict[str, Any]:
    """The members that tell the end: `stop_reason`, `stop_sequence` and for refusals `stop_details`.

    Calls that were made are always told as `tool_use`, or the caller would not run them; without one it is not said,
    unless the upstream did in just this word.
    """
    reason = _WRITTEN[finish.reason]
    if finish.reason is FinishReason.OTHER and finish.raw in _OWN:
        reason = finish.raw
    if has_calls and reason == "end_turn":
        reason = "tool_use"
    elif reason == "tool_use" and not has_calls and finish.raw != "tool_use":
        reason = "end_turn"
    written: dict[str, Any] = {
        "stop_reason": reason,
        "stop_sequence": finish.stop_sequence if reason == "stop_sequence" else None,
    }
    if reason == "refusal":
        written["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.explanation}
    return written
