"""What is known of a tenant's answers, for a day, and of nobody else's."""

from __future__ import annotations

import json

import pytest

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.dialects.openai_responses.state import Answer, Item
from tollhouse.stages.conversation.memory import LIFE_S, Kept, Made, Memory
from tollhouse.testing import FakeClock

MADE = Made(route="gpt", provider="a", deployment="a/m")


def message(name: str) -> dict[str, object]:
    return {"type": "message", "id": name}


def answer(name: str, *items: dict[str, object]) -> bytes:
    return json.dumps({"id": name, "output": items}).encode()


def exchange(memory: Memory, name: str, said: str, previous: str | None = None) -> None:
    kept = Kept(
        answer=answer(name, message(f"msg_{name}")), input=(json.dumps(said).encode(),), previous=previous
    )
    memory.remember_exchange(MADE, Answer(id=name, output=(Item(id=f"msg_{name}"),)), kept)


def conversation(memory: Memory, name: str) -> list[object] | None:
    items = memory.history(name)
    return None if items is None else [json.loads(bytes(item)) for item in items]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recall(clock: FakeClock) -> MemoryRecall:
    return MemoryRecall(clock)


@pytest.fixture
def memory(recall: MemoryRecall) -> Memory:
    return Memory(recall, "team:a")


def test_response_is_known_by_its_id_to_its_tenant_only(memory: Memory, recall: MemoryRecall) -> None:
    memory.remember(MADE, "resp_1")
    exchange(memory, "resp_2", "hi")
    other = Memory(recall, "team:b")
    assert memory.response("resp_1") == MADE
    assert other.response("resp_1") is other.kept("resp_2") is other.history("resp_2") is None
    assert other.item("msg_resp_2") is other.item_of("resp_2", "msg_resp_2") is None


def test_what_only_its_issuer_can_read_is_known_without_its_id(memory: Memory) -> None:
    memory.remember_items(MADE, [Item(id="rs_1", type="reasoning", encrypted_content="gAAA")])
    assert memory.issuer(Item(type="reasoning", encrypted_content="gAAA")) == MADE
    assert memory.issuer(Item(type="reasoning", id="rs_1")) == MADE
    assert memory.issuer(Item(type="reasoning", encrypted_content="gBBB")) is None
    assert memory.issuer(Item(type="reasoning", encrypted_content=7, id=7)) is None


def test_everything_is_forgotten_after_a_day(memory: Memory, clock: FakeClock) -> None:
    memory.remember(MADE, "resp_1")
    memory.remember_items(MADE, [Item(id="rs_1", encrypted_content="gAAA")])
    exchange(memory, "resp_2", "hi")
    clock.advance(LIFE_S)
    assert memory.response("resp_1") == MADE
    clock.advance(1)
    assert memory.response("resp_1") is memory.item("rs_1") is None
    assert memory.kept("resp_2") is None
    assert memory.issuer(Item(encrypted_content="gAAA")) is None


def test_conversation_is_a_chain_of_exchanges(memory: Memory) -> None:
    exchange(memory, "r1", "one")
    exchange(memory, "r2", "two", "r1")
    exchange(memory, "r3", "three", "r2")
    assert conversation(memory, "r3") == [
        "one", message("msg_r1"), "two", message("msg_r2"), "three", message("msg_r3"),
    ]  # fmt: skip
    assert conversation(memory, "r1") == ["one", message("msg_r1")]
    assert conversation(memory, "r9") is None


def test_going_on_keeps_the_whole_conversation_young(memory: Memory, clock: FakeClock) -> None:
    exchange(memory, "r1", "one")
    clock.advance(LIFE_S - 10)
    exchange(memory, "r2", "two", "r1")
    assert conversation(memory, "r2") is not None
    clock.advance(LIFE_S - 10)
    assert conversation(memory, "r2") is not None
    assert memory.response("r1") is not None


def test_conversation_with_a_link_missing_is_not_known(memory: Memory) -> None:
    exchange(memory, "r1", "one")
    exchange(memory, "r2", "two", "r1")
    memory.forget("r1")
    assert conversation(memory, "r2") is None
    assert memory.response("r1") is memory.item("msg_r1") is None
    assert memory.kept("r1") is None


def test_one_item_of_an_answer_is_found(memory: Memory) -> None:
    exchange(memory, "r1", "one")
    made = memory.item("msg_r1")
    assert made is not None
    assert made.kept_in == "r1"
    item = memory.item_of("r1", "msg_r1")
    assert item is not None
    assert json.loads(bytes(item)) == message("msg_r1")
    assert memory.item_of("r1", "msg_2") is None


def test_what_is_too_long_for_a_name_is_neither_kept_nor_sought(memory: Memory) -> None:
    memory.remember(MADE, "r" * 1000)
    assert memory.response("r" * 1000) is None


def test_one_answer_does_not_fill_the_memory(memory: Memory) -> None:
    memory.remember_items(MADE, [Item(id=f"i{n}") for n in range(1500)])
    assert memory.item("i999") is not None
    assert memory.item("i1000") is None


def test_a_long_conversation_takes_the_room_of_what_was_said(clock: FakeClock) -> None:
    recall = MemoryRecall(clock, most_bytes=200_000)
    memory = Memory(recall, "t")
    for turn in range(100):
        exchange(memory, f"r{turn}", "x" * 1000, f"r{turn - 1}" if turn else None)
    assert len(conversation(memory, "r99") or ()) == 200
