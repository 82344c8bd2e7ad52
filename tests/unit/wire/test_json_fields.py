"""Members are taken or reported; nothing is lost without a word."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

names = st.sampled_from(["a", "b", "name", "type", "x-y", "ü"])
leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def read(value: Any) -> tuple[Fields, Leftovers]:
    leftovers = Leftovers()
    return Fields(value, "", leftovers), leftovers


def walked(fields: Fields, value: dict[str, Any], path: str, data: st.DataObject) -> list[str]:
    """Reads an object in a way that is drawn; what it leaves."""
    left: list[str] = []
    for name, member in value.items():
        own = f"{path}.{name}" if path else name
        ways = ["leave", "take"]
        if isinstance(member, dict):
            ways.append("fields")
        if isinstance(member, list) and all(isinstance(item, dict) for item in member):
            ways.append("each")
        match data.draw(st.sampled_from(ways)):
            case "leave":
                left += [own] if member is not None else []
            case "take":
                assert fields.take(name) == member
            case "fields":
                inside = fields.take_fields(name)
                assert inside is not None
                left += walked(inside, member, own, data)
            case "each":
                for inside, item in zip(fields.take_each(name), member, strict=True):
                    left += walked(inside, item, f"{own}[]", data)
    return left


@given(st.dictionaries(names, values, max_size=5), st.data())
def test_every_member_that_was_not_taken_is_reported(value: dict[str, Any], data: st.DataObject) -> None:
    fields, leftovers = read(value)
    left = walked(fields, value, "", data)
    assert set(leftovers.paths()) == set(left)
    assert len(leftovers.paths()) == len(set(left))


@given(st.dictionaries(names, values, max_size=5), st.data())
def test_reading_changes_nothing_in_what_is_read(value: dict[str, Any], data: st.DataObject) -> None:
    before = repr(value)
    walked(read(value)[0], value, "", data)
    assert repr(value) == before


def test_paths_are_written_as_the_sender_would_without_indexes() -> None:
    fields, leftovers = read({"messages": [{"name": "a"}, {"name": "b", "content": [{"x": 1}]}], "user": "u"})
    for message in fields.take_each("messages"):
        message.take_each("content")
    assert leftovers.paths() == ("user", "messages[].name", "messages[].content[].x")


def test_null_counts_as_absent() -> None:
    fields, leftovers = read({"a": None, "b": None})
    assert "a" not in fields
    assert fields.take_text("a") is None
    assert fields.take_fields("a") is None
    assert fields.take_each("a") == []
    assert leftovers.paths() == ()


def test_peeking_is_not_taking() -> None:
    fields, leftovers = read({"type": "text"})
    assert fields.peek("type") == "text"
    assert leftovers.paths() == ("type",)


def test_what_only_says_what_holds_anyway_may_be_ignored() -> None:
    fields, leftovers = read({"n": 1, "store": True, "stream": False})
    fields.ignore_if("n", 1)
    fields.ignore_if("store", False)
    fields.ignore("stream", "absent")
    assert leftovers.paths() == ("store",)


@pytest.mark.parametrize(("said", "meant"), [(True, 1), (0, False), (1, True), (False, 0)])
def test_a_flag_does_not_say_what_a_number_says(said: object, meant: object) -> None:
    fields, leftovers = read({"n": said})
    fields.ignore_if("n", meant)
    assert leftovers.paths() == ("n",)


@pytest.mark.parametrize("said", [[], {}, [1]])
def test_any_value_can_be_compared_with_what_holds_anyway(said: object) -> None:
    fields, leftovers = read({"n": said})
    fields.ignore_if("n", 1, "x", [])
    assert leftovers.paths() == (() if said == [] else ("n",))


def test_the_rest_can_be_taken_at_once() -> None:
    fields, leftovers = read({"type": "t", "a": 1, "b": {"c": 2}})
    fields.take("type")
    assert fields.take_all() == {"a": 1, "b": {"c": 2}}
    assert leftovers.paths() == ()


@pytest.mark.parametrize(
    ("take", "good", "bad", "wanted"),
    [
        (Fields.take_text, "x", 1, "a string"),
        (Fields.need_text, "x", None, "a string"),
        (Fields.take_flag, False, 0, "true or false"),
        (Fields.take_integer, 3, True, "an integer"),
        (Fields.take_integer, 3, 3.5, "an integer"),
        (Fields.take_number, 0.5, True, "a number"),
        (Fields.take_number, 2, "2", "a number"),
        (Fields.take_list, [1], {}, "a list"),
        (Fields.take_dict, {"a": 1}, [], "an object"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(
    take: Callable[[Fields, str], Any], good: Any, bad: Any, wanted: str
) -> None:
    fields, _ = read({"m": {"good": good, "bad": bad}})
    inside = fields.take_fields("m")
    assert inside is not None
    assert take(inside, "good") == good
    with pytest.raises(WrongType, match=re.escape(f"`m.bad` must be {wanted}")) as raised:
        take(inside, "bad")
    assert (raised.value.path, raised.value.wanted) == ("m.bad", wanted)


def test_a_whole_number_written_with_a_point_is_an_integer() -> None:
    value = read({"n": 4.0})[0].take_integer("n")
    assert value == 4
    assert isinstance(value, int)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_finite_number_is_no_integer(value: float) -> None:
    with pytest.raises(WrongType, match="`n` must be an integer"):
        read({"n": value})[0].take_integer("n")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 10**400])
def test_what_is_no_finite_number_is_no_number(value: float) -> None:
    with pytest.raises(WrongType, match="`n` must be a number"):
        read({"n": value})[0].take_number("n")


def test_an_item_of_the_wrong_type_is_named_with_its_place() -> None:
    fields, _ = read({"messages": [{}, 7]})
    with pytest.raises(WrongType, match=re.escape("`messages[1]` must be an object")):
        fields.take_each("messages")


def test_another_object_can_be_read_under_the_same_leftovers() -> None:
    fields, leftovers = read({})
    fields.child({"left": 1}, "tools[0]")
    assert leftovers.paths() == ("tools[].left",)


def test_what_is_no_object_cannot_be_read() -> None:
    with pytest.raises(WrongType, match="it must be an object"):
        read([])
