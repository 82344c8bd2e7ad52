"""Why answers end: the words of those who speak the family's dialects, and ours.

OpenAI's own words are `stop`, `length`, `tool_calls`, `content_filter` and `function_call` (API reference, "The chat
completion object", read 2026-11-24). The others were seen or are documented at: Together (`eos`), Mistral
(`model_length`), Z.ai (`sensitive`, `model_context_window_exceeded`), gateways before Claude and Gemini (the words of
those), read 2026-11-25.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.response import Finish, FinishReason

_REASONS: Final = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "complete": FinishReason.STOP,
    "completed": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.CONTEXT_FULL,
    "model_context_window_exceeded": FinishReason.CONTEXT_FULL,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
    "recitation": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
    "malformed_function_call": FinishReason.FAULTY_CALL,
}
_WORDS: Final = {
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
}


def read_finish(word: str | None, *, has_calls: bool) -> Finish:
    """The end of a choice. Without a word, what the answer itself says."""
    if word is None:
        return Finish(reason=FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP)
    return Finish(reason=_REASONS.get(word.lower(), FinishReason.OTHER), raw=word)


def finish_word(finish: Finish, *, has_calls: bool) -> str:
    """OpenAI's word: `tool_calls` whenever tools were asked for and nothing went wrong."""
    word = _WORDS.get(finish.reason)
    if word is None:
        return "tool_calls" if has_calls else "stop"
    return word
