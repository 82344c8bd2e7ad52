"""What providers refuse in a conversation that comes back to them.

* every call of a tool is answered once, right after it, and nothing else is (all providers),
* Anthropic, and Claude at Bedrock: with thinking on, the last answer with calls begins with its thinking block, and
  signatures are its own, byte for byte, over unchanged text (https://platform.claude.com/docs/en/build-with-claude/
  extended-thinking, preserving thinking blocks),
* Gemini 3: in the current turn the first call of every step has its thought signature
  (https://ai.google.dev/gemini-api/docs/thought-signatures; its two documented dummies are taken, and counted),
* OpenAI's responses: encrypted reasoning is its own, and a call that names its item comes with that reasoning
  (https://platform.openai.com/docs/guides/reasoning, keeping reasoning items in context).

All read 2026-11-25. What a provider would take, but what makes the next answer worse, is no refusal but a loss.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from clients.answers import Answer, play, result_text
from clients.history import Asked, Entry, HeldCall, HeldThought

DUMMIES: Final = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")


def pairing_fault(asked: Asked) -> str | None:
    """What is wrong with calls and results, or None."""
    for at, entry in enumerate(asked.entries):
        if entry.role == "results" and (at == 0 or not asked.entries[at - 1].calls):
            return f"entry {at}: results without calls before them"
        if not entry.calls:
            continue
        results = asked.entries[at + 1].results if at + 1 < len(asked.entries) else []
        if len(results) != len(entry.calls):
            return f"entry {at}: {len(entry.calls)} calls, {len(results)} results"
        left = list(results)
        for call in entry.calls:
            expected = result_text(call.name, call.arguments)
            # Gemini pairs by name and order where there are no ids.
            fits = [r for r in left if (r.id == call.id if r.id and call.id else r.name == call.name)]
            if not fits:
                return f"entry {at}: no result for call {call.id} of {call.name}"
            if expected not in fits[0].text:
                return f"entry {at}: the result of {call.id} should be {expected!r}, not {fits[0].text!r}"
            left.remove(fits[0])
    return None


def history_fault(asked: Asked, scenario: str) -> str | None:
    """Where the model is shown other answers than it gave, or None."""
    turn = 0
    for entry in asked.entries:
        if entry.role != "assistant":
            continue
        answer = play(scenario, turn)
        assert isinstance(answer, Answer)
        told = [(call.name, call.arguments) for call in entry.calls]
        given = [(call.name, call.arguments) for call in answer.calls]
        if told != given:
            return f"answer {turn} had the calls {given}, not {told}"
        turn += 1
    return None


class Losses:
    """What is missing without being refused."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, what: str) -> None:
        self.found.append(what)


def _current(asked: Asked) -> list[tuple[int, Entry]]:
    """The answers since the user last spoke, numbered from the first of the conversation."""
    numbered: list[tuple[int, Entry]] = []
    turn = 0
    for entry in asked.entries:
        if entry.role == "user":
            numbered = []
        if entry.role == "assistant":
            numbered.append((turn, entry))
            turn += 1
    return numbered


def _all(asked: Asked) -> list[tuple[int, Entry]]:
    return list(enumerate(entry for entry in asked.entries if entry.role == "assistant"))


def _given(scenario: str, turn: int) -> Answer:
    answer = play(scenario, turn)
    assert isinstance(answer, Answer)
    return answer


def claude_fault(asked: Asked, scenario: str, losses: Losses) -> str | None:
    """Anthropic's rules."""
    for turn, entry in _all(asked):
        given = _given(scenario, turn)
        for thought in entry.thoughts:
            if thought.signature != given.signature("anthropic") or thought.text != given.reasoning:
                return f"messages: Invalid `signature` in `thinking` block of answer {turn}: {thought}"
    current = _current(asked)
    if asked.thinks:
        for turn, entry in current:
            if entry.calls and not isinstance(entry.parts[0], HeldThought):
                if turn == current[-1][0]:
                    return (
                        f"messages, answer {turn}: Expected `thinking` or `redacted_thinking`, but found "
                        f"`{type(entry.parts[0]).__name__}`. When `thinking` is enabled, a final `assistant` message "
                        "must start with a thinking block."
                    )
                losses.add(f"the thinking of answer {turn}")
    elif _given(scenario, 0).reasoning:
        losses.add("the wish to think")
    return None


def gemini_fault(asked: Asked, scenario: str, losses: Losses) -> str | None:
    """Gemini 3's rules."""
    for turn, entry in _current(asked):
        if not _given(scenario, turn).reasoning:
            continue
        own = _given(scenario, turn).signature("gemini")
        for index, call in enumerate(entry.calls):
            fault = _gemini_call_fault(call, own, is_first=index == 0)
            if fault == "dummy":
                losses.add(f"the signature of answer {turn}, for which a dummy came")
            elif fault:
                return f"answer {turn}: {fault}"
    return None


def _gemini_call_fault(call: HeldCall, own: str, *, is_first: bool) -> str | None:
    if call.signature is None:
        if not is_first:
            return None
        return f"Function call is missing a thought_signature in functionCall parts. Function call `{call.name}`."
    if _same_base64(call.signature, own):
        return None
    if call.signature in DUMMIES or any(_same_base64(call.signature, _b64(dummy)) for dummy in DUMMIES):
        return "dummy"
    return "Invalid thought signature."


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _same_base64(left: str, right: str) -> bool:
    """Google takes both alphabets."""
    try:
        return base64.b64decode(left.replace("-", "+").replace("_", "/"), validate=True) == base64.b64decode(
            right
        )
    except (binascii.Error, ValueError):
        return False


def responses_fault(asked: Asked, scenario: str, losses: Losses) -> str | None:
    """OpenAI's rules for responses."""
    for turn, entry in _all(asked):
        given = _given(scenario, turn)
        for thought in entry.thoughts:
            if thought.signature is not None and thought.signature != given.signature("openai"):
                return (
                    f"The encrypted content for item rs_{scenario}_{turn} could not be verified. Reason: Encrypted "
                    "content could not be decrypted or parsed."
                )
        has_own = any(thought.signature for thought in entry.thoughts)
        if given.reasoning and not has_own:
            named = [call.item for call in entry.calls if call.item and call.item.startswith("fc_")]
            if named:
                return f"Item '{named[0]}' of type 'function_call' was provided without its required 'reasoning' item."
            losses.add(f"the reasoning of answer {turn}")
    return None
