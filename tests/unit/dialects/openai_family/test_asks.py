"""Requests: what is judged, what is changed, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_chat import DIALECT as CHAT
from tollhouse.dialects.openai_completions import DIALECT as COMPLETIONS
from tollhouse.dialects.openai_embeddings import DIALECT as EMBEDDINGS
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.ports.dialect import Ask, ClientCall

ALL = pytest.mark.parametrize(
    ("dialect", "subject", "operation"),
    [
        (CHAT, b'"messages":[]', Operation.CHAT),
        (COMPLETIONS, b'"prompt":"x"', Operation.TEXT_COMPLETION),
        (EMBEDDINGS, b'"input":["x"]', Operation.EMBEDDINGS),
    ],
)


def read(dialect: FamilyDialect, body: bytes) -> ClientCall:
    return dialect.read(Ask(operation=dialect.operation, body=body))


def refused(body: bytes, dialect: FamilyDialect = CHAT) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(dialect, body)
    error = caught.value
    assert error.kind is ErrorKind.INVALID_REQUEST
    assert error.blame is Blame.CLIENT
    assert error.message
    assert error.hint
    return error


def fault_of(dialect: FamilyDialect, body: bytes) -> ErrorKind | None:
    try:
        read(dialect, body)
    except GatewayError as error:
        return error.kind
    return None


@ALL
def test_a_request_is_read_as_far_as_the_house_must_know(
    dialect: FamilyDialect, subject: bytes, operation: Operation
) -> None:
    body = b'{"model":"m",' + subject + b',"vendor":{"x":[1]},"temperature":2}'
    call = read(dialect, body)
    assert (call.operation, call.model, call.is_stream, call.asks_usage) == (operation, "m", False, True)
    assert call.body is body
    assert body[slice(*call.spans["model"])] == b'"m"'
    assert body[slice(*call.spans[""])] == body


@pytest.mark.parametrize(
    ("members", "is_stream", "asks"),
    [
        (b'"stream":true', True, False),
        (b'"stream":true,"stream_options":null', True, False),
        (b'"stream":true,"stream_options":{}', True, False),
        (b'"stream":true,"stream_options":{"include_usage":false}', True, False),
        (b'"stream":true,"stream_options":{"include_usage":null}', True, False),
        (b'"stream":true,"stream_options":{"include_usage":true}', True, True),
        (b'"stream":null', False, True),
        (b'"stream":false,"stream_options":{"include_usage":false}', False, True),
    ],
)
def test_streams_and_the_wish_for_usage_are_recognised(members: bytes, is_stream: bool, asks: bool) -> None:
    call = read(CHAT, b'{"model":"m","messages":[],' + members + b"}")
    assert (call.is_stream, call.asks_usage) == (is_stream, asks)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"messages":[]}', "model"),
        (b'{"model":null,"messages":[]}', "model"),
        (b'{"model":7,"messages":[]}', "model"),
        (b'{"model":"","messages":[]}', "model"),
        (b'{"model":"' + b"m" * 201 + b'","messages":[]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":null}', "messages"),
        (b'{"model":"m","messages":[],"stream":1}', "stream"),
        (b'{"model":"m","messages":[],"stream":"true"}', "stream"),
        (b'{"model":"m","messages":[],"stream_options":[]}', "stream_options"),
        (b'{"model":"m","messages":[],"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
        (
            b'{"model":"m","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}',
            "stream_options",
        ),
        (b'{"model":"a","messages":[],"model":"b"}', "model"),
        (b'{"model":"a","messages":[],"mod\\u0065l":"b"}', "model"),
        (b'{"model":"a","messages":[],"stream":true,"stream":false}', "stream"),
        (b'{"model":"a","messages":[],"stream_options":null,"stream_options":{}}', "stream_options"),
        (b"[]", None),
        (b'{"model":"m","messages":[]', None),
        (b'{"model":"m","messages":[NaN]}', None),
        (b'{"model":"m","messages":["\xff"]}', None),
        (b"", None),
    ],
)
def test_a_request_is_refused_by_the_name_of_the_field_when_the_house_cannot_act_on_it(
    body: bytes, param: str | None
) -> None:
    assert refused(body).param == param


def test_the_refusal_points_to_the_other_api_when_input_cannot_be_messages() -> None:
    assert "/v1/responses" in refused(b'{"model":"m","input":5}').hint


def test_the_refusal_names_the_byte_when_the_json_is_broken() -> None:
    assert "at byte 13" in refused(b'{"model":"m" "messages":[]}').message


@pytest.mark.parametrize("value", [b'"x"', b'["x"]', b"[1,2]", b"null"])
def test_a_prompt_may_be_all_the_reference_allows(value: bytes) -> None:
    assert read(COMPLETIONS, b'{"model":"m","prompt":' + value + b"}").model == "m"


@pytest.mark.parametrize("value", [b"null", b"5", b"{}"])
def test_the_input_of_embeddings_must_be_there(value: bytes) -> None:
    assert refused(b'{"model":"m","input":' + value + b"}", EMBEDDINGS).param == "input"


def test_other_duplicates_pass_untouched() -> None:
    body = b'{"model":"m","messages":[],"user":"a","user":"b"}'
    assert CHAT.forward(read(CHAT, body), "n", ask_usage=False) == body.replace(b'"m"', b'"n"')


def test_embeddings_are_never_a_stream_whatever_is_asked() -> None:
    call = read(EMBEDDINGS, b'{"model":"m","input":"x","stream":true,"stream_options":5}')
    assert not call.is_stream
    with pytest.raises(GatewayError) as caught:
        EMBEDDINGS.tap_stream(call)
    assert caught.value.kind is ErrorKind.INTERNAL


@ALL
def test_the_body_is_the_same_object_when_nothing_must_change(
    dialect: FamilyDialect, subject: bytes, operation: Operation
) -> None:
    body = b' {"model" : "gp\\u0074-4",' + subject + b"}\n"
    assert dialect.forward(read(dialect, body), "gpt-4", ask_usage=True) is body


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"m","messages":[],"stream":true}\n', b',"stream_options":{"include_usage":true}}\n'),
        (
            b'{"model":"m","messages":[],"stream":true , "stream_options": null }',
            b' {"include_usage":true} }',
        ),
        (b'{"model":"m","messages":[],"stream":true,"stream_options":{ }}', b'{ "include_usage":true}}'),
        (
            b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_obfuscation":false }}',
            b'{"include_obfuscation":false ,"include_usage":true}}',
        ),
        (
            b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage" : false, "x":1},"n":2}',
            b'{"include_usage" : true, "x":1},"n":2}',
        ),
    ],
)
def test_usage_is_asked_for_by_the_smallest_change(before: bytes, after: bytes) -> None:
    call = read(CHAT, before)
    out = CHAT.forward(call, "m", ask_usage=True)
    assert out.endswith(after)
    assert read(CHAT, out).asks_usage
    assert CHAT.forward(call, "m", ask_usage=False) is before


def test_usage_is_not_asked_for_when_the_call_is_unary() -> None:
    body = b'{"model":"m","messages":[],"stream_options":{}}'
    assert CHAT.forward(read(CHAT, body), "m", ask_usage=True) is body


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OPTIONS = st.none() | st.fixed_dictionaries(
    {}, optional={"include_usage": st.none() | st.booleans(), "x": VALUES}
)
BODIES = st.fixed_dictionaries(
    {"model": TEXTS.filter(bool), "messages": st.lists(VALUES, max_size=2)},
    optional={"stream": st.none() | st.booleans(), "stream_options": OPTIONS, "": VALUES, "extra": VALUES},
)


@given(BODIES, TEXTS.filter(bool), st.sampled_from([None, 0, 3]), st.booleans(), st.booleans(), st.randoms())
def test_forwarding_changes_the_model_and_the_wish_for_usage_and_not_one_byte_else(
    wanted: dict[str, Any], model: str, indent: int | None, is_ascii: bool, ask_usage: bool, order: Any
) -> None:
    members = list(wanted.items())
    order.shuffle(members)
    body = json.dumps(dict(members), indent=indent, ensure_ascii=is_ascii).encode()
    call = read(CHAT, body)
    out = CHAT.forward(call, model, ask_usage=ask_usage)

    expected = {**wanted, "model": model}
    if ask_usage and call.is_stream:
        expected["stream_options"] = {**(wanted.get("stream_options") or {}), "include_usage": True}
    assert json.loads(out) == expected

    # What stands outside the exchanged spans is found again, byte for byte.
    again = read(CHAT, out)
    for name in set(wanted) - {"model", "stream_options", ""}:
        assert out[slice(*again.spans[name])] == body[slice(*call.spans[name])]
    start, end = call.spans["model"]
    if not ask_usage:
        changed = body[start:end] if model == call.model else json.dumps(model, ensure_ascii=False).encode()
        assert json.loads(out[slice(*again.spans["model"])]) == json.loads(changed)
        assert out[: again.spans["model"][0]] == body[:start]
        assert out[again.spans["model"][1] :] == body[end:]


@given(st.binary(max_size=50) | st.text('{}[]":,model\\ntrue ', max_size=50).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for dialect in (CHAT, COMPLETIONS, EMBEDDINGS):
        assert fault_of(dialect, body) in (None, ErrorKind.INVALID_REQUEST)
