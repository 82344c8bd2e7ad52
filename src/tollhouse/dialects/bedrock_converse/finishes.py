"""Why an answer ended, in Converse's words and the house's."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.response import Finish, FinishReason

_REASONS: Final = {
    "end_turn": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
    "malformed_model_output": FinishReason.FAULTY_CALL,
    "malformed_tool_use": FinishReason.FAULTY_CALL,
    "model_context_window_exceeded": FinishReason.CONTEXT_FULL,
}
_WORDS: Final = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.CONTEXT_FULL: "model_context_window_exceeded",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "content_filtered",
    FinishReason.REFUSAL: "content_filtered",
    FinishReason.PAUSE: "end_turn",
    FinishReason.FAULTY_CALL: "malformed_tool_use",
    FinishReason.OTHER: "end_turn",
}


def finish_of(reason: object, more: object) -> Finish:
    """The end of an answer with this `stopReason` and these `additionalModelResponseFields`."""
    word = reason if isinstance(reason, str) else ""
    return Finish(
        reason=_REASONS.get(word, FinishReason.OTHER), raw=word, stop_sequence=_stop_sequence_in(more)
    )


def stop_reason_of(finish: Finish, *, has_calls: bool) -> str:
    """The `stopReason`. Agents run tools only where it says so."""
    if has_calls and finish.reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        return "tool_use"
    return finish.raw if _REASONS.get(finish.raw) is finish.reason else _WORDS[finish.reason]


def _stop_sequence_in(more: object) -> str | None:
    """There where the caller asked for `/stop_sequence` or `/delta/stop_sequence` among the response's fields."""
    if not isinstance(more, dict):
        return None
    inner: Any = more.get("delta")
    found = more.get("stop_sequence") or (inner.get("stop_sequence") if isinstance(inner, dict) else None)
    return found if isinstance(found, str) else None
