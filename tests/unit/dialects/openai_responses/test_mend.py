"""Conversations that others have taken part in, for an upstream of this dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from tollhouse.core.content import Signature, Thinking
from tollhouse.core.seal import is_marked, seal
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.dialects.openai_responses.reasoning import reasoning_item

FOREIGN = seal(Signature(issuer="anthropic", value="Eq.B=="))


def mended(*items: Any, issuer: str = "openai") -> list[Any]:
    found: list[Any] = msgspec.json.decode(
        DIALECT.mend(msgspec.json.encode({"model": "m", "input": items}), issuer)
    )["input"]
    return found


def reasoning(encrypted: str | None, item_id: str = "rs_1") -> dict[str, Any]:
    return {"type": "reasoning", "id": item_id, "summary": [], "encrypted_content": encrypted}


USER = {"role": "user", "content": "hi"}


def test_what_others_sealed_is_gone_and_what_is_bare_stays() -> None:
    assert mended(USER, reasoning(FOREIGN), reasoning("gAAA", "rs_2")) == [USER, reasoning("gAAA", "rs_2")]


def test_what_the_upstream_itself_issued_is_bare_again() -> None:
    assert mended(reasoning(FOREIGN), issuer="anthropic") == [reasoning("Eq.B==")]


def test_references_to_what_is_gone_go_with_it() -> None:
    assert mended(
        reasoning(FOREIGN),
        {"type": "item_reference", "id": "rs_1"},
        {"id": "rs_1"},
        {"type": "item_reference", "id": "msg_1"},
    ) == [{"type": "item_reference", "id": "msg_1"}]


def test_reasoning_that_nobody_signed_is_gone_too_as_openai_never_saw_it() -> None:
    item = reasoning_item("rs_ours", Thinking(text="hm"))
    assert is_marked(msgspec.json.encode(item))
    assert mended(USER, item) == [USER]


def test_a_body_without_seals_is_the_same_object() -> None:
    for body in (
        b'{"input":"tollhouse.v1.x.y"}',
        b'{ "input": [{"role":"user","content":"tollhouse.v1.a.b"}] }',
        b"[]",
    ):
        assert DIALECT.mend(body, "openai") is body


def test_the_rest_of_the_request_keeps_its_order_and_values() -> None:
    body = (
        b'{"z":1.50,"input":[{"type":"reasoning","encrypted_content":"'
        + FOREIGN.encode()
        + b'"}],"a":"\xc3\xbc"}'
    )
    assert DIALECT.mend(body, "openai") == b'{"z":1.5,"input":[],"a":"\xc3\xbc"}'
