"""Callers' requests, scanned and spliced."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import (
    call_of,
    flag_in,
    member,
    model_in,
    scanned,
    splice,
    with_model,
)
from tollhouse.ports.dialect import Ask

BODY = b'{"model": "a", "n":1 , "stream":null}'


def refused(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        model_in(body, scanned(body, once=("model",)))
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    return caught.value


def test_members_are_found_without_decoding_the_rest() -> None:
    scan = scanned(BODY, once=("model",))
    assert member(BODY, scan, "n") == b"1"
    assert member(BODY, scan, "nobody") == b"null"
    assert model_in(BODY, scan) == "a"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"model":"a"', b'{"model":"a","model":"b"}', b"{}", b'{"model":1}', b'{"model":""}'],
)
def test_requests_that_name_no_model_are_refused(body: bytes) -> None:
    refused(body)


def test_members_the_house_does_not_act_on_may_stand_there_twice() -> None:
    assert scanned(b'{"x":1,"x":2}', once=("model",)).duplicates == {"x"}


def test_flags_are_true_false_or_null_and_named_by_their_path() -> None:
    assert not flag_in(BODY, scanned(BODY, once=()), "stream")
    body = b'{"stream":1}'
    with pytest.raises(GatewayError) as caught:
        flag_in(body, scanned(body, once=()), "stream", path="options.stream")
    assert caught.value.param == "options.stream"


@given(model=st.text(min_size=1))
def test_only_the_models_name_is_changed(model: str) -> None:
    ask = Ask(operation=Operation.CHAT, body=BODY)
    call = call_of(ask, scanned(BODY, once=()), model="a", is_stream=False)
    written = with_model(call, model)
    assert msgspec.json.decode(written) == {"model": model, "n": 1, "stream": None}
    assert written.endswith(b', "n":1 , "stream":null}')
    if model == "a":
        assert written is BODY


def test_splicing_keeps_what_lies_between() -> None:
    assert splice(b"0123456789", [((7, 8), b"x"), ((1, 3), b""), ((9, 9), b"!")]) == b"03456x8!9"
    assert splice(BODY, []) is BODY
