"""Requests are judged as far as the house must know them, and forwarded byte for byte."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.anthropic_messages import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall, Dialect


def read(body: bytes, operation: Operation = Operation.CHAT) -> ClientCall:
    return DIALECT.read(Ask(operation=operation, body=body))


def refused(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(body)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.hint
    return caught.value


def test_it_is_a_dialect() -> None:
    assert isinstance(DIALECT, Dialect)
    assert DIALECT.operations == {Operation.CHAT, Operation.COUNT_TOKENS}


def test_a_request_is_forwarded_as_it_came_but_for_the_model() -> None:
    body = b'{ "model" : "route", "future_2027":[1.0,  {"b":1,"a":2}],"max_tokens":5,"stream":true,"messages":[]}\n'
    call = read(body)
    assert (call.model, call.is_stream, call.asks_usage) == ("route", True, True)
    assert DIALECT.forward(call, "claude-x", ask_usage=True) == body.replace(b'"route"', b'"claude-x"')
    assert DIALECT.forward(call, "route", ask_usage=True) is body


def test_counting_needs_no_limit_and_knows_no_streams() -> None:
    call = read(b'{"model":"m","messages":[],"stream":true}', Operation.COUNT_TOKENS)
    assert not call.is_stream


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"max_tokens":1,"messages":[]}', "model"),
        (b'{"model":7,"max_tokens":1,"messages":[]}', "model"),
        (b'{"model":"","max_tokens":1,"messages":[]}', "model"),
        (b'{"model":"m","max_tokens":1}', "messages"),
        (b'{"model":"m","max_tokens":1,"messages":"hi"}', "messages"),
        (b'{"model":"m","messages":[]}', "max_tokens"),
        (b'{"model":"m","max_tokens":"5","messages":[]}', "max_tokens"),
        (b'{"model":"m","max_tokens":-5,"messages":[]}', "max_tokens"),
        (b'{"model":"m","max_tokens":1,"messages":[],"stream":"yes"}', "stream"),
        (b'{"model":"m","model":"n","max_tokens":1,"messages":[]}', "model"),
        (b'{"model":"m","max_tokens":1,"max_tokens":9,"messages":[]}', "max_tokens"),
        (b'{"model":"m","max_tokens":1,"messages":[],"messages":[]}', "messages"),
        (b"[1]", None),
        (b"{", None),
    ],
)
def test_what_cannot_be_a_request_is_refused_with_the_field_named(body: bytes, param: str | None) -> None:
    assert refused(body).param == param


@given(st.binary(max_size=60))
def test_no_bytes_are_more_than_a_refusal(body: bytes) -> None:
    with suppress(GatewayError):
        assert read(body).model
