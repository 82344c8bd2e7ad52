"""What is remembered between calls: for a while, within bounds, and for the same tenant only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.testing import FakeClock


def test_recall_gives_what_was_kept_to_the_same_tenant_only() -> None:
    recall = MemoryRecall(FakeClock())
    recall.keep("key:a", "x", b"1")
    assert recall.recall("key:a", "x") == b"1"
    assert recall.recall("key:b", "x") is None


def test_recall_forgets_when_its_time_is_over() -> None:
    clock = FakeClock()
    recall = MemoryRecall(clock)
    recall.keep("key:a", "x", b"1", life_s=10)
    clock.advance(9)
    assert recall.recall("key:a", "x") == b"1"
    clock.advance(2)
    assert recall.recall("key:a", "x") is None


def test_recall_forgets_on_demand_and_what_was_never_kept() -> None:
    recall = MemoryRecall(FakeClock())
    recall.keep("key:a", "x", b"1")
    recall.forget("key:a", "x")
    recall.forget("key:a", "y")
    assert recall.recall("key:a", "x") is None


def test_recall_gives_up_the_oldest_when_it_is_full() -> None:
    recall = MemoryRecall(FakeClock(), most_bytes=1000)
    for name in "abcdef":
        recall.keep("t", name, bytes(100))
    assert recall.recall("t", "a") is None
    assert recall.recall("t", "f") == bytes(100)


def test_recall_does_not_keep_what_is_larger_than_all_its_room() -> None:
    recall = MemoryRecall(FakeClock(), most_bytes=1000)
    recall.keep("t", "small", b"1")
    recall.keep("t", "large", bytes(5000))
    assert recall.recall("t", "large") is None
    assert recall.recall("t", "small") == b"1"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.binary(max_size=300)), max_size=40)
)
def test_recall_never_gives_one_tenant_what_another_kept(steps: list[tuple[str, str, bytes]]) -> None:
    recall = MemoryRecall(FakeClock(), most_bytes=2000)
    kept: dict[tuple[str, str], bytes] = {}
    for tenant, key, value in steps:
        recall.keep(tenant, key, value)
        kept[tenant, key] = value
        for (who, what), expected in kept.items():
            assert recall.recall(who, what) in (expected, None)
