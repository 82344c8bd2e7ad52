"""Requests at the door: judged as far as the house must know them, forwarded byte for byte."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.translation import ChatFaces


def read(body: bytes, **more: Any) -> ClientCall:
    return DIALECT.read(Ask(operation=Operation.CHAT, body=body, **more))


def refused(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(body)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    return caught.value


def test_the_dialect_is_one() -> None:
    assert isinstance(DIALECT, Dialect)
    assert isinstance(DIALECT.chat, ChatFaces)
    assert "input" in DIALECT.known


def test_a_call_asks_for_usage_always_as_it_always_comes() -> None:
    call = read(b'{"model":"m","input":"hi","stream":true}')
    assert (call.model, call.is_stream, call.asks_usage) == ("m", True, True)
    assert DIALECT.forward(call, "m", ask_usage=True) is call.body


def test_only_the_models_name_is_changed_on_the_way() -> None:
    call = read(b'{ "x_2027": [1.0], "model" : "m", "input": [ ] }')
    assert (
        DIALECT.forward(call, 'up/"m"', ask_usage=True)
        == b'{ "x_2027": [1.0], "model" : "up/\\"m\\"", "input": [ ] }'
    )


def test_a_model_named_by_the_path_needs_none_in_the_body() -> None:
    call = read(b'{"input":"hi"}', path_model="m", path_stream=True)
    assert (call.model, call.is_stream) == ("m", True)
    assert DIALECT.forward(call, "other", ask_usage=False) == b'{"input":"hi"}'


@pytest.mark.parametrize(
    "member", [b'"previous_response_id":"r"', b'"conversation":"c"', b'"prompt":{"id":"p"}']
)
def test_a_call_may_be_about_what_is_kept_elsewhere(member: bytes) -> None:
    assert read(b'{"model":"m",' + member + b"}").model == "m"
    assert read(b'{"model":"m","input":null,' + member + b"}").model == "m"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"input":"x"}', "model"),
        (b'{"model":7,"input":"x"}', "model"),
        (b'{"model":"","input":"x"}', "model"),
        (b'{"model":"' + b"m" * 201 + b'","input":"x"}', "model"),
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":null,"conversation":null}', "input"),
        (b'{"model":"m","input":{}}', "input"),
        (b'{"model":"m","input":{},"conversation":"c"}', "input"),
        (b'{"model":"m","input":"x","stream":1}', "stream"),
        (b'{"model":"m","input":"x","input":"y"}', "input"),
        (b'{"model":"m","model":"n","input":"x"}', "model"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, param: str | None) -> None:
    assert refused(body).param == param


def test_a_body_of_chat_completions_is_told_where_it_belongs() -> None:
    assert "chat completions" in refused(b'{"model":"m","messages":[]}').hint


def test_the_forwarded_body_stays_json() -> None:
    call = read('{"input":"ü","model":"m"}'.encode())
    assert msgspec.json.decode(DIALECT.forward(call, "ñ", ask_usage=False)) == {"input": "ü", "model": "ñ"}
