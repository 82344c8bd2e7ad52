"""What the house says of answers it keeps itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_responses.state import Answer
from tollhouse.stages.conversation import Doing, Made, Memory, answer_of, asked, not_found
from tollhouse.stages.conversation.memory import Kept
from tollhouse.testing import FakeClock

FIRST = {"role": "user", "content": "one"}
SAID = {
    "type": "message",
    "role": "assistant",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "a"}],
}
SECOND = {"type": "message", "role": "user", "content": "two"}


@pytest.fixture
def memory() -> Memory:
    memory = Memory(MemoryRecall(FakeClock()), "t")
    made = Made(route="gpt", provider="a", deployment="a/m")
    for name, item, output, previous in (("r1", FIRST, [SAID], None), ("r2", SECOND, [], "r1")):
        answer = json.dumps({"id": name, "output": output}).encode()
        kept = Kept(answer=answer, input=(json.dumps(item).encode(),), previous=previous)
        memory.remember_exchange(made, Answer(id=name), kept)
    return memory


def ask(memory: Memory, operation: Operation, name: str = "r2", query: str = "") -> Any:
    return json.loads(answer_of(Doing(operation=operation, response_id=name, query=query), memory))


def test_response_is_told_as_it_was(memory: Memory) -> None:
    assert ask(memory, Operation.RETRIEVE_RESPONSE, "r1") == {"id": "r1", "output": [SAID]}


def test_response_is_not_streamed_again(memory: Memory) -> None:
    with pytest.raises(GatewayError) as refused:
        ask(memory, Operation.RETRIEVE_RESPONSE, query="stream=true")
    assert (refused.value.status, refused.value.param) == (400, "stream")


def test_deleted_response_is_gone(memory: Memory) -> None:
    assert ask(memory, Operation.DELETE_RESPONSE) == {"id": "r2", "object": "response", "deleted": True}
    with pytest.raises(GatewayError) as refused:
        ask(memory, Operation.RETRIEVE_RESPONSE)
    assert refused.value.status == 404


def test_complete_response_cannot_be_cancelled(memory: Memory) -> None:
    with pytest.raises(GatewayError) as refused:
        ask(memory, Operation.CANCEL_RESPONSE)
    assert refused.value.status == 400


def test_input_items_are_the_conversation_newest_first_and_each_has_an_id(memory: Memory) -> None:
    page = ask(memory, Operation.LIST_INPUT_ITEMS)
    assert [item["content"][0]["text"] for item in page["data"]] == ["two", "a", "one"]
    assert [item["id"] for item in page["data"]] == ["item_r2_2", "msg_1", "item_r2_0"]
    assert page["data"][2]["content"] == [{"type": "input_text", "text": "one"}]
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", "item_r2_2", "item_r2_0")
    assert page["has_more"] is False


def test_input_items_come_in_pages(memory: Memory) -> None:
    page = ask(memory, Operation.LIST_INPUT_ITEMS, query="order=asc&limit=2")
    assert [item["id"] for item in page["data"]] == ["item_r2_0", "msg_1"]
    assert page["has_more"] is True
    rest = ask(memory, Operation.LIST_INPUT_ITEMS, query="order=asc&limit=2&after=msg_1")
    assert [item["id"] for item in rest["data"]] == ["item_r2_2"]
    assert ask(memory, Operation.LIST_INPUT_ITEMS, query="after=item_r2_0")["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=-1", "after=nope"])
def test_page_nobody_can_make_is_refused(memory: Memory, query: str) -> None:
    with pytest.raises(GatewayError):
        ask(memory, Operation.LIST_INPUT_ITEMS, query=query)


def test_what_is_not_known_is_told_alike_whoever_has_it() -> None:
    error = not_found("resp_1", "previous_response_id")
    assert (error.status, error.param) == (404, "previous_response_id")
    assert error.message == "There is no earlier response named 'resp_1'."


def test_only_what_the_reference_knows_is_asked_of_an_upstream() -> None:
    query = "include%5B%5D=a&key=sk-th-x&limit=3&api-version=1&stream=true&include[0]=b&&x"
    assert asked(query) == ["include%5B%5D=a", "limit=3", "stream=true", "include[0]=b"]
