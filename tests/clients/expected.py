"""What a client must have understood in the end, whatever lies between it and the model."""

from __future__ import annotations

from typing import Any

from clients.answers import Answer, play


def assert_understood(
    result: dict[str, Any], scenario: str, *, turns: int, has_usage: bool = True, has_finish: bool = True,
    has_cached: bool = True, has_reasoning: bool = False,
) -> None:  # fmt: skip
    """Compare the turns of a conversation with what the model said in them."""
    assert "error" not in result, (
        f"{result['error']['class']}: {result['error']['message']}\n{result['error']['trace']}"
    )
    assert len(result["turns"]) == turns
    for number, turn in enumerate(result["turns"]):
        said = play(scenario, number)
        assert isinstance(said, Answer)
        assert turn["text"] == said.text
        told = [(call["name"], call["args"]) for call in turn["tools"]]
        assert told == [(call.name, call.arguments) for call in said.calls]
        ids = [call["id"] for call in turn["tools"] if call["id"]]
        assert len(set(ids)) == len(ids), "every call has an id of its own"
        if has_finish:
            assert turn["finish"] == said.finish
        if has_usage:
            usage = turn["usage"]
            assert usage, "no usage"
            assert (usage["input"], usage["output"]) == (said.tokens.input, said.tokens.output)
            if has_cached and usage.get("cached") is not None:
                assert usage["cached"] == said.tokens.cached
        if has_reasoning:
            assert turn["reasoning"] == said.reasoning


TURNS = {"loop": 3, "long": 10}
"""How many answers a conversation has; one, where nothing is said here."""

CANNOT = ("mistral_chat", "loop", True)
"""Mistral's SDK demands a name in every piece of a streamed call, and whole arguments, as only Mistral sends them."""
