"""State the house keeps for upstreams that keep none."""

from __future__ import annotations

import json

import msgspec
import pytest

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.dialects.openai_responses.state import (
    Answer,
    Item,
    References,
    answer_marks,
    output_items,
    own_items,
    references,
    with_history,
    without_items,
)
from tollhouse.ports.dialect import Ask, ClientCall

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
    assert msgspec.structs.replace(found, items=()) == References(
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


def raw(*items: object) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(item)) for item in items]


def call(body: bytes) -> ClientCall:
    return DIALECT.read(Ask(operation=Operation.CHAT, body=body))


def test_history_stands_before_the_input_and_everything_else_as_it_was() -> None:
    body = b'{"model":"m", "previous_response_id":"resp_1","input":"go on","temperature":1.50,"x":[1, 2]}'
    out = with_history(body, raw(USER, ANSWER))
    assert json.loads(out)["input"] == [USER, ANSWER, {"type": "message", "role": "user", "content": "go on"}]
    assert b"previous_response_id" not in out
    assert b'"temperature":1.50' in out
    assert b'"x":[1, 2]' in out


def test_a_call_without_an_input_of_its_own_has_the_history_alone() -> None:
    assert json.loads(with_history(b'{"previous_response_id":"r"}', raw(USER)))["input"] == [USER]


def test_items_are_written_as_they_came_however_odd() -> None:
    item = b'{"role":"user", "content":"half \\ud83d", "x":1.50}'
    out = with_history(b'{"input":["a"]}', [msgspec.Raw(item)])
    assert item in out


def test_half_a_surrogate_pair_in_an_answer_does_not_end_a_conversation() -> None:
    answer = b'{"id":"resp_1","output":[{"type":"reasoning","id":"rs_1","x":"a\\ud83d"}]}'
    assert answer_marks(answer) == Answer(id="resp_1", output=(Item(type="reasoning", id="rs_1"),))
    out = with_history(b'{"model":"m"}', output_items(answer))
    assert json.loads(call(out).body)["input"] == [{"type": "reasoning", "id": "rs_1", "x": "a?"}]


def test_items_are_left_out_by_their_places() -> None:
    assert without_items(b'{"input":[{"a":1}, {"b":2}],"n":1.0}', {0}) == b'{"input":[{"b":2}],"n":1.0}'


def test_references_are_replaced_by_what_was_found() -> None:
    body = msgspec.json.encode({"input": [{"type": "item_reference", "id": "msg_1"}, {"id": "gone"}]})
    found = dict(zip(["msg_1"], raw(ANSWER), strict=True))
    assert json.loads(with_history(body, [], found))["input"] == [ANSWER, {"id": "gone"}]


def test_what_a_call_goes_on_from_stays_where_the_items_do_not_stand_for_it() -> None:
    body = b'{"previous_response_id":"resp_1","input":[{"id":"msg_1"}]}'
    found = dict(zip(["msg_1"], raw(ANSWER), strict=True))
    out = json.loads(with_history(body, [], found, is_continued=False))
    assert out == {"previous_response_id": "resp_1", "input": [ANSWER]}


def test_an_exchange_is_its_own_items_and_those_of_its_answer() -> None:
    assert [json.loads(bytes(item)) for item in own_items(b'{"input":"hi"}')] == [USER]
    assert [json.loads(bytes(item)) for item in output_items(json.dumps({"output": [ANSWER]}).encode())] == [
        ANSWER
    ]
    assert own_items(b"{}") == output_items(b'{"output":7}') == []


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"id":7}', b'{"id":""}', b'{"id":"a'])
def test_an_answer_without_a_name_is_none_to_remember(answer: bytes) -> None:
    assert answer_marks(answer) is None


def test_an_answer_is_marked_by_its_id_and_those_of_its_items() -> None:
    answer = {"id": "resp_1", "output": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}, 7]}
    assert answer_marks(json.dumps(answer).encode()) == Answer(
        id="resp_1",
        output=(Item(type="reasoning", id="rs_1", encrypted_content="x"), Item(type="unreadable")),
    )


def test_items_are_looked_at_however_odd_their_neighbours() -> None:
    reasoning = b'{"type":"reasoning","encrypted_content":"x"}'
    for odd in (b"7", b'"a"', b'{"x":"\\ud83d"}'):
        items = references(b'{"input":[' + odd + b"," + reasoning + b'],"store":false}').items
        assert items[1] == Item(type="reasoning", encrypted_content="x")
    assert references(b'{"model":"m","input":"hi"}').items == ()
