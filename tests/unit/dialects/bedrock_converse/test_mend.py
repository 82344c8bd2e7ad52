"""Conversations of several issuers made fit for one upstream."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tollhouse.core.content import Signature
from tollhouse.core.errors import GatewayError
from tollhouse.core.seal import is_marked, seal, seal_base64
from tollhouse.dialects.bedrock_converse import DIALECT

GEMINI = Signature(issuer="gemini", value="gs==")
AMAZON = Signature(issuer="amazon", value="EroB")


def thought(text: str, signature: str | None = None) -> dict[str, Any]:
    inside = {"text": text} if signature is None else {"text": text, "signature": signature}
    return {"reasoningContent": {"reasoningText": inside}}


def hidden(content: str) -> dict[str, Any]:
    return {"reasoningContent": {"redactedContent": content}}


def mended(*content: Any, issuer: str = "anthropic") -> list[Any]:
    body = {
        "system": [{"text": "s"}],
        "messages": [
            {"role": "user", "content": [{"text": "q"}]},
            {"role": "assistant", "content": [*content, {"text": "a"}]},
        ],
    }
    out = DIALECT.mend(json.dumps(body).encode(), issuer)
    assert not is_marked(out)
    document = json.loads(out)
    assert document["system"] == body["system"]
    blocks: list[Any] = document["messages"][1]["content"]
    assert blocks.pop() == {"text": "a"}
    return blocks


def test_own_thoughts_stay_byte_for_byte_and_those_of_others_go() -> None:
    own = thought("hm", "sig==")
    data = hidden(base64.b64encode(b"EroB").decode())
    assert mended(own, data, thought("x", seal(GEMINI)), hidden(seal_base64(GEMINI))) == [own, data]


def test_sealed_thoughts_of_the_upstreams_issuer_are_bare_again() -> None:
    assert mended(thought("x", seal(AMAZON)), hidden(seal_base64(AMAZON)), issuer="amazon") == [
        thought("x", "EroB"),
        hidden(base64.b64encode(b"EroB").decode()),
    ]


def test_words_of_others_stay_where_they_need_no_signature() -> None:
    assert mended(thought("x", seal(GEMINI)), thought("y", "claude=="), issuer="amazon") == [
        thought("x"),
        thought("y"),
    ]


def test_turn_of_which_nothing_is_left_goes_and_its_neighbours_join() -> None:
    body = {
        "messages": [
            {"role": "user", "content": [{"text": "q"}]},
            {"role": "assistant", "content": [thought("", seal(GEMINI))]},
            {"role": "user", "content": [{"text": "r"}]},
        ]
    }
    assert json.loads(DIALECT.mend(json.dumps(body).encode(), "anthropic")) == {
        "messages": [{"role": "user", "content": [{"text": "q"}, {"text": "r"}]}]
    }


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"messages":3}'])
def test_other_shapes_are_left_as_they_are(body: bytes) -> None:
    assert DIALECT.mend(body, "anthropic") is body


def test_odd_members_are_passed_on() -> None:
    body = {
        "messages": [
            3,
            {"role": "user", "content": "x"},
            {"content": [3, {"reasoningContent": 3}, hidden("!")]},
        ]
    }
    assert json.loads(DIALECT.mend(json.dumps(body).encode(), "anthropic")) == body


def test_body_that_is_no_json_is_the_callers_fault() -> None:
    with pytest.raises(GatewayError):
        DIALECT.mend(b"{", "anthropic")
