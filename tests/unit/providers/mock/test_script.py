from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.providers.mock.script import (
    Fault,
    Marks,
    Script,
    ScriptRefused,
    choose,
    parse,
    parse_json,
    parse_model,
    read_marks,
    split_model,
)


def test_script_answers_well_and_at_once_when_nothing_is_said():
    script = Script()
    assert (script.status, script.fault, script.delay_s, script.stall_s) == (200, None, 0.0, 60.0)


def test_script_is_read_from_a_models_name_with_its_numbers():
    script = parse_model("mock-chat@fault=cut,after_chunks=2,delay_s=0.5")
    assert script == Script(fault=Fault.CUT, after_chunks=2, delay_s=0.5)


@pytest.mark.parametrize("name", ["mock-chat", "claude@20240229", "@", "", "a@b@c"])
def test_model_name_is_left_alone_when_it_holds_no_script(name: str):
    assert split_model(name) == (name, None)
    assert parse_model(name) is None


def test_model_name_keeps_its_own_at_signs_when_a_script_follows():
    assert split_model("claude@2024@fault=cut") == ("claude@2024", "fault=cut")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"falt": "cut"}, "falt"),
        ({"fault": "explode"}, "explode"),
        ({"status": 99}, "$.status"),
        ({"delay_s": -1}, "$.delay_s"),
        ({"chunks": "3"}, "$.chunks"),
        ({"chunks": 1_000_000, "chunk_bytes": 1_000_000}, "bound"),
        ([], "object"),
    ],
)
def test_script_is_refused_and_names_the_field_when_it_does_not_fit(fields: object, told: str):
    with pytest.raises(ScriptRefused, match=r"script in the attic") as refusal:
        parse(fields, place="the attic")
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["m@delay_s=nan", "m@delay_s=inf", "m@chunks=x", "m@fault=cut,oops", "m@nothing=1"]
)
def test_script_in_a_models_name_is_refused_when_it_cannot_be_performed(name: str):
    with pytest.raises(ScriptRefused, match="model's name"):
        parse_model(name)


def test_script_in_a_header_is_refused_when_it_is_not_json():
    with pytest.raises(ScriptRefused, match="not JSON"):
        parse_json("{", place="the header")


def test_choice_prefers_header_to_body_and_body_to_model():
    marks = Marks(mock={"status": 500}, model="mock-chat@status=400")
    assert choose({"x-mock-script": '{"status": 503}'}, marks).status == 503
    assert choose({}, marks).status == 500
    assert choose({}, Marks(model="mock-chat@status=400")).status == 400
    assert choose({}, Marks(model=["no", "name"])) == Script()
    assert choose({}, Marks()) == Script()


def test_marks_are_found_beside_anything_else_in_a_body():
    marks = read_marks(b'{"model": 3, "mock_id": "a-1", "user": {"x": 1}, "other": [1, 2]}')
    assert (marks.model, marks.mock_id, marks.user, marks.mock) == (3, "a-1", {"x": 1}, None)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: msgspec.json.encode([text])))
def test_marks_of_anything_that_is_no_object_are_none(body: bytes):
    marks = read_marks(body)
    assert (marks.model, marks.mock, marks.mock_id) == (None, None, None)


@given(
    st.builds(
        Script,
        status=st.integers(200, 599),
        fault=st.none() | st.sampled_from(Fault),
        after_chunks=st.none() | st.integers(0, 1000),
        delay_s=st.floats(0, 3600),
        message=st.none() | st.text(max_size=50),
    )
)
def test_script_comes_back_the_same_when_it_travels_as_json(script: Script):
    assert parse_json(msgspec.json.encode(script), place="a letter") == script


@given(st.text(max_size=60))
def test_model_name_of_any_text_gives_a_script_none_or_a_refusal(text: str):
    try:
        script = parse_model("mock-chat@" + text)
    except ScriptRefused:
        return
    assert script is None or isinstance(script, Script)
