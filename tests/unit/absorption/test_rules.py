"""How rules are applied: only where they are for, only to what needs it, byte for byte elsewhere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.absorption.rules import Absorber, Fields, Pack, Rule, renamed, with_value, without


def shorter(fields: Fields) -> Fields | None:
    return renamed(fields, "length", "size") if fields["length"] > 3 else None


SIZE = Rule(
    name="test.size",
    since="2026-01-01",
    source="https://example.com/changes",
    providers=("acme*",),
    dialects=("openai_chat",),
    models=("big-*",),
    except_models=("big-old*",),
    when=("length",),
    apply=shorter,
    example=({"length": 4}, {"size": 4}),
)
COLOUR = msgspec.structs.replace(
    SIZE,
    name="test.colour",
    when=("colour", "length"),
    apply=lambda fields: without(fields, "colour"),
    loses=("colour",),
)


def absorb(
    body: bytes, *rules: Rule, kind: str = "acme_eu", dialect: str = "openai_chat", model: str = "big-1"
) -> Any:
    return Absorber([Pack(name="test", rules=rules or (SIZE,))]).absorb(kind, dialect, model, body)


def test_rule_changes_what_it_is_about_and_nothing_else() -> None:
    body = b'{ "a" : 1.0, "length":4,"messages":[ {"b": 1e3,  "c":"\\u00e9" } ]}'
    assert absorb(body) == (
        b'{"a":1.0,"size":4,"messages":[ {"b": 1e3,  "c":"\\u00e9" } ]}',
        ("test.size",),
    )


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ({"kind": "other"}, b'{"length":4}'),
        ({"dialect": "gemini_generate"}, b'{"length":4}'),
        ({"model": "small-1"}, b'{"length":4}'),
        ({"model": "big-old-1"}, b'{"length":4}'),
        ({}, b'{"length":2}'),
        ({}, b'{"deep":{"length":4}}'),
        ({}, b'{"text":"\\"length\\""}'),
        ({}, b'["length"]'),
        ({}, b'{"length":'),
        ({}, b""),
    ],
)
def test_body_is_left_alone_when_no_rule_is_for_it(where: dict[str, str], body: bytes) -> None:
    same, names = absorb(body, **where)
    assert same is body
    assert names == ()


def test_model_is_known_by_its_name_in_any_case() -> None:
    assert absorb(b'{"length":4}', model="BIG-1")[1] == ("test.size",)


def test_rules_follow_one_another_and_one_may_take_what_the_next_wanted() -> None:
    body = b'{"colour":"red","length":4}'
    assert absorb(body, COLOUR, SIZE) == (b'{"size":4}', ("test.colour", "test.size"))
    assert absorb(body, SIZE, COLOUR) == (b'{"colour":"red","size":4}', ("test.size",))


def test_members_keep_their_place() -> None:
    fields = {"a": 1, "b": 2, "c": 3}
    assert list(renamed(fields, "b", "z").items()) == [("a", 1), ("z", 2), ("c", 3)]
    assert list(with_value(fields, "a", 9)) == ["a", "b", "c"]
    assert list(with_value(fields, "d", 9)) == ["a", "b", "c", "d"]
    assert without(fields, "a", "x") == {"b": 2, "c": 3}
    assert fields == {"a": 1, "b": 2, "c": 3}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(others=st.dictionaries(st.text().filter(lambda name: name != "length"), json_values, max_size=5))
def test_whatever_stands_beside_survives(others: dict[str, Any]) -> None:
    body, names = absorb(msgspec.json.encode({"length": 4} | others))
    assert names == ("test.size",)
    assert msgspec.json.decode(body) == {"size": 4} | others
