"""Signatures that come back to an upstream of the same dialect."""

from __future__ import annotations

import json
from typing import Any

from tollhouse.core.content import Signature
from tollhouse.core.seal import seal
from tollhouse.dialects.openai_chat import DIALECT

OURS = seal(Signature(issuer="gemini", value="mine"))
THEIRS = seal(Signature(issuer="anthropic", value="other"))


def mended(message: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"model": "m", "messages": [message], "x": 1}).encode()
    found = json.loads(DIALECT.mend(body, "gemini"))
    assert list(found) == ["model", "messages", "x"]
    (only,) = found["messages"]
    return dict(only)


def call(**more: Any) -> dict[str, Any]:
    return {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def test_what_the_issuer_signed_is_again_what_it_was_and_what_others_signed_is_gone() -> None:
    message = mended(
        {
            "role": "assistant",
            "content": "x",
            "thinking_blocks": [
                {"type": "thinking", "thinking": "t", "signature": THEIRS},
                {"type": "redacted_thinking", "data": OURS},
                {"type": "thinking", "thinking": "u", "signature": "never sealed"},
            ],
            "tool_calls": [
                call(extra_content={"google": {"thought_signature": OURS}}),
                call(extra_content={"google": {"thought_signature": THEIRS}}),
                call(extra_content={"google": {"thought_signature": THEIRS, "x": 1}}),
                call(),
            ],
        }
    )
    assert message["thinking_blocks"] == [
        {"type": "redacted_thinking", "data": "mine"},
        {"type": "thinking", "thinking": "u", "signature": "never sealed"},
    ]
    assert message["tool_calls"] == [
        call(extra_content={"google": {"thought_signature": "mine"}}),
        call(),
        call(extra_content={"google": {"x": 1}}),
        call(),
    ]


def test_no_empty_list_is_left_of_blocks_that_others_signed() -> None:
    message = mended(
        {
            "role": "assistant",
            "content": "x",
            "thinking_blocks": [{"type": "redacted_thinking", "data": THEIRS}],
        }
    )
    assert message == {"role": "assistant", "content": "x"}


def test_a_body_that_only_quotes_a_seal_is_left_as_it_is() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": OURS}]}).encode()
    assert DIALECT.mend(body, "gemini") is body
    assert DIALECT.mend(b"[" + OURS.encode(), "gemini") == b"[" + OURS.encode()
