"""JSON that is read patiently, and written again."""

from __future__ import annotations

import json

import msgspec
import pytest

from tollhouse.core.content import ToolCall, ToolKind
from tollhouse.dialects.ground_family.call_input import input_of
from tollhouse.dialects.ground_family.loose_json import decode_loosely, encode_loosely, json_text, object_in

HALF = "\ud83d"


def call(arguments: str, kind: ToolKind = ToolKind.FUNCTION) -> ToolCall:
    return ToolCall(id="c", name="f", arguments=arguments, kind=kind)


def test_half_a_surrogate_pair_goes_out_as_it_came() -> None:
    assert decode_loosely(encode_loosely({"said": HALF})) == {"said": HALF}


def test_raw_json_beside_half_a_surrogate_pair_is_written_too() -> None:
    body = {"input": msgspec.Raw(b'{"z":1,"a":[2]}'), "said": HALF}
    assert json.loads(encode_loosely(body)) == {"input": {"z": 1, "a": [2]}, "said": HALF}


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError):
        encode_loosely({"said": HALF, "what": object()})


def test_text_of_json_is_compact_and_in_order() -> None:
    assert json_text({"z": 1, "a": "ü"}) == '{"z":1,"a":"ü"}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        (" \n", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", None),
        ('{"a":', None),
        (f'{{"a":"{HALF}"}}', None),
    ],
)
def test_arguments_are_an_object_or_none(text: str, value: object) -> None:
    assert object_in(text) == value


def test_input_of_a_call_is_the_bytes_its_arguments_are() -> None:
    assert encode_loosely(input_of(call(' {"z":1.50, "a":2} '))) == b'{"z":1.50, "a":2}'
    assert encode_loosely(input_of(call(""))) == b"{}"


def test_input_of_a_call_never_breaks_a_line() -> None:
    assert encode_loosely(input_of(call('{"z":\n1}'))) == b'{"z":1}'


@pytest.mark.parametrize("arguments", ["{cut", "[1]", "2"])
def test_arguments_that_are_no_object_stand_in_one(arguments: str) -> None:
    assert input_of(call(arguments)) == {"input": arguments}


def test_text_of_a_custom_tool_stands_in_an_object_even_if_it_is_one() -> None:
    assert input_of(call('{"a":1}', ToolKind.CUSTOM)) == {"input": '{"a":1}'}
