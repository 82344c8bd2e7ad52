"""State the house keeps for upstreams that keep none."""

from __future__ import annotations

import json

import msgspec
import pytest

from tollhouse.core.errors import GatewayError
from tollhouse.dialects.openai_responses.state import (
    References,
    input_items,
    kept_items,
    references,
    response_id,
    with_history,
)

USER = {"type": "message", "role": "user", "content": "hi"}
ANSWER = {
    "type": "message",
    "role": "assistant",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "yo"}],
}


def test_what_a_call_refers_to_is_read() -> None:
    body = {
        "model": "m", "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}, "prompt": {"id": "p"},
        "input": [USER, {"type": "item_reference", "id": "msg_1"}, {"id": "rs_1"},
                  {"id": "x", "role": "user", "content": "a"}],
        "store": False, "background": True,
    }  # fmt: skip
    found = references(msgspec.json.encode(body))
    assert found == References(
        previous_response_id="resp_1",
        conversation="conv_1",
        has_prompt=True,
        item_ids=("msg_1", "rs_1"),
        is_stored=False,
        is_background=True,
    )
    assert found.has_any


def test_a_call_that_says_everything_refers_to_nothing_and_is_stored() -> None:
    found = references(b'{"model":"m","input":"hi","previous_response_id":null}')
    assert found == References()
    assert found.is_stored
    assert not found.has_any


def test_a_conversation_may_be_named_by_its_id_alone() -> None:
    assert references(b'{"conversation":"conv_1"}').conversation == "conv_1"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"previous_response_id":7}', b'{"conversation":{"id":7}}'])
def test_what_cannot_be_read_is_the_callers_fault(body: bytes) -> None:
    with pytest.raises(GatewayError):
        references(body)


def test_history_stands_before_the_input_and_everything_else_as_it_was() -> None:
    body = b'{"model":"m", "previous_response_id":"resp_1","input":"go on","temperature":1.50,"x":[1, 2]}'
    out = with_history(body, [USER, ANSWER])
    assert json.loads(out)["input"] == [USER, ANSWER, {"type": "message", "role": "user", "content": "go on"}]
    assert b"previous_response_id" not in out
    assert b'"temperature":1.50' in out
    assert b'"x":[1, 2]' in out


def test_a_call_without_an_input_of_its_own_has_the_history_alone() -> None:
    assert json.loads(with_history(b'{"previous_response_id":"r"}', [USER]))["input"] == [USER]


def test_references_are_replaced_by_what_was_found() -> None:
    body = msgspec.json.encode({"input": [{"type": "item_reference", "id": "msg_1"}, {"id": "gone"}]})
    assert json.loads(with_history(body, [], {"msg_1": ANSWER}))["input"] == [ANSWER, {"id": "gone"}]


def test_an_exchange_is_kept_as_the_whole_conversation() -> None:
    first = kept_items(b'{"input":"hi"}', json.dumps({"id": "resp_1", "output": [ANSWER]}).encode())
    assert first == [USER, ANSWER]
    second = with_history(b'{"input":"go on","previous_response_id":"resp_1"}', first)
    kept = kept_items(second, b'{"output":[]}')
    assert kept == [USER, ANSWER, {"type": "message", "role": "user", "content": "go on"}]


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"output":7}'])
def test_an_answer_that_cannot_be_read_adds_nothing(answer: bytes) -> None:
    assert kept_items(b'{"input":"hi"}', answer) == [USER]
    assert response_id(answer) is None


def test_the_answers_id_is_what_the_next_call_names() -> None:
    assert response_id(b'{"id":"resp_1"}') == "resp_1"
    assert input_items(None) == []
