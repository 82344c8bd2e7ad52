"""Conversations that several issuers have taken part in, made fit for one of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollhouse.core.content import Signature
from tollhouse.core.seal import is_marked, seal
from tollhouse.dialects.anthropic_messages import DIALECT

OURS = seal(Signature(issuer="anthropic", value="c+/="))
THEIRS = seal(Signature(issuer="gemini", value="g+/="))
HI = {"role": "user", "content": "hi"}
TEXT = {"type": "text", "text": "x"}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r"}]}


def turn(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def thinking(signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": signature}


def mended(*messages: Any, issuer: str = "anthropic", **members: Any) -> dict[str, Any]:
    body = json.dumps({"model": "m", "messages": list(messages)} | members).encode()
    document: dict[str, Any] = json.loads(DIALECT.mend(body, issuer))
    return document


def test_own_seals_are_taken_off_and_others_out() -> None:
    hidden = {"type": "redacted_thinking", "data": THEIRS}
    document = mended(HI, turn(thinking(OURS), thinking(THEIRS), hidden, thinking("bare"), TEXT), HI)
    assert document["messages"][1] == turn(thinking("c+/="), thinking("bare"), TEXT)
    assert not is_marked(json.dumps(document).encode())


def test_a_message_of_which_nothing_is_left_goes() -> None:
    assert mended(HI, turn(thinking(THEIRS)), HI)["messages"] == [HI, HI]


def test_without_its_reasoning_a_turn_with_calls_is_answered_without_thinking() -> None:
    on = {"type": "enabled", "budget_tokens": 2048}
    assert "thinking" not in mended(HI, turn(thinking(THEIRS), CALL), RESULT, thinking=on)
    assert mended(HI, turn(thinking(OURS), CALL), RESULT, thinking=on)["thinking"] == on
    assert mended(HI, turn(thinking(THEIRS), TEXT), HI, thinking=on)["thinking"] == on
    adaptive = {"type": "adaptive"}
    assert mended(HI, turn(thinking(THEIRS), CALL), RESULT, thinking=adaptive)["thinking"] == adaptive


@pytest.mark.parametrize(
    "body",
    [
        b"not json tollhouse.v1.",
        b'{"messages":"tollhouse.v1.x"}',
        b'[ "tollhouse.v1.x" ]',
        json.dumps({"messages": [HI, turn({"type": "text", "text": OURS})]}, indent=1).encode(),
    ],
)
def test_what_has_no_seal_in_its_place_stays_byte_for_byte(body: bytes) -> None:
    assert DIALECT.mend(body, "anthropic") is body
