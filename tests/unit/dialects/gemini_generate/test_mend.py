"""Conversations that other models have taken part in, on their way to Gemini."""

from __future__ import annotations

import json
from typing import Any

from tollhouse.core.content import Signature
from tollhouse.core.seal import seal_base64
from tollhouse.dialects.gemini_generate import DIALECT

OWN = seal_base64(Signature(issuer="gemini", value="c2ln"))
THEIRS = seal_base64(Signature(issuer="anthropic", value="abc"))


def mended(*parts: dict[str, Any]) -> Any:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": list(parts)}],
        "a": 1.0,
    }
    return json.loads(DIALECT.mend(json.dumps(body).encode(), "gemini"))


def test_geminis_own_signatures_are_again_what_they_were() -> None:
    parts = mended(
        {"text": "a", "thoughtSignature": OWN}, {"functionCall": {"name": "f"}, "thought_signature": OWN}
    )
    assert parts["contents"][1]["parts"] == [
        {"text": "a", "thoughtSignature": "c2ln"}, {"functionCall": {"name": "f"}, "thought_signature": "c2ln"},
    ]  # fmt: skip
    assert parts["a"] == 1.0


def test_others_signatures_go_with_what_was_there_for_their_sake() -> None:
    body = mended(
        {"text": "hm", "thought": True, "thoughtSignature": THEIRS},
        {"text": "", "thoughtSignature": THEIRS},
        {"text": "a", "thoughtSignature": THEIRS},
        {"text": "b"},
    )
    assert body["contents"][1]["parts"] == [{"text": "a"}, {"text": "b"}]


def test_a_turn_of_which_nothing_is_left_goes() -> None:
    assert len(mended({"text": "hm", "thought": True, "thoughtSignature": THEIRS})["contents"]) == 1


def test_calls_of_others_get_the_word_gemini_takes() -> None:
    (call,) = mended({"functionCall": {"name": "f"}, "thoughtSignature": THEIRS})["contents"][1]["parts"]
    assert call["thoughtSignature"] == "skip_thought_signature_validator"


def test_signatures_that_are_no_seals_are_left_alone() -> None:
    part = {"functionCall": {"name": "f"}, "thoughtSignature": "AAAA"}
    assert mended(part)["contents"][1]["parts"] == [part]


def test_what_is_no_conversation_is_left_alone() -> None:
    assert DIALECT.mend(b"[1]", "gemini") == b"[1]"
    assert DIALECT.mend(b'{"contents": 1}', "gemini") == b'{"contents": 1}'
