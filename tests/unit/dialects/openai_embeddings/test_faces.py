"""OpenAI's embeddings towards other dialects."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import Media, MediaKind
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import Field
from tollhouse.core.usage import Usage
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingResponse, EmbeddingTask
from tollhouse.dialects.openai_embeddings import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EmbeddingFaces, Scene

SCENE = Scene(id="x", now=1, model="asked")


def faces() -> EmbeddingFaces:
    assert DIALECT.embedding is not None
    return DIALECT.embedding


def called(**body: Any) -> ClientCall:
    return DIALECT.read(Ask(operation=Operation.EMBEDDINGS, body=json.dumps({"model": "m", **body}).encode()))


@pytest.mark.parametrize(
    ("sent", "inputs", "is_single"),
    [
        ("a", ("a",), True),
        (["a", "b"], ("a", "b"), False),
        ([1, 2], ((1, 2),), False),
        ([[1], [2, 3]], ((1,), (2, 3)), False),
    ],
)
def test_inputs_are_texts_or_tokens(sent: Any, inputs: tuple[Any, ...], *, is_single: bool) -> None:
    request, leftovers = faces().read_request(called(input=sent))
    assert (request.inputs, request.is_single, leftovers) == (inputs, is_single, ())


@pytest.mark.parametrize("sent", [[], ["a", 1], [[]], [["a"]], [True], [{}]])
def test_other_inputs_are_refused(sent: Any) -> None:
    with pytest.raises(GatewayError) as told:
        faces().read_request(called(input=sent))
    assert (told.value.kind, told.value.param) == (ErrorKind.INVALID_REQUEST, "input")


def test_settings_are_read_and_the_rest_is_told() -> None:
    call = called(input="a", dimensions=3, user="u", encoding_format="base64", truncation=True)
    request, leftovers = faces().read_request(call)
    assert (request.dimensions, request.end_user) == (3, "u")
    assert leftovers == ("truncation",)
    with pytest.raises(GatewayError, match="encoding_format"):
        faces().read_request(called(input="a", encoding_format="hex"))


def test_vectors_are_numbers_or_little_endian_float32() -> None:
    response = EmbeddingResponse(model="", vectors=((1.0, -0.5),), usage=Usage(input_uncached_tokens=7))
    plain = json.loads(faces().write_response(response, called(input="a"), SCENE))
    assert plain == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}],
        "model": "asked",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    packed = json.loads(faces().write_response(response, called(input="a", encoding_format="base64"), SCENE))
    assert base64.b64decode(packed["data"][0]["embedding"]) == struct.pack("<2f", 1.0, -0.5)


def test_a_request_is_written_and_its_losses_declared() -> None:
    request = EmbeddingRequest(
        model="m", inputs=("a",), dimensions=3, end_user="u", is_single=True, task=EmbeddingTask.QUERY,
        truncate="end",
    )  # fmt: skip
    written = faces().write_request(request, Traits())
    assert json.loads(written.body) == {"model": "m", "dimensions": 3, "user": "u", "input": "a"}
    assert {loss.field for loss in written.losses} == {Field.EMBEDDING_TASK, Field.TRUNCATION}
    narrow = faces().write_request(request, Traits(unsupported=frozenset({Field.DIMENSIONS, Field.END_USER})))
    assert json.loads(narrow.body) == {"model": "m", "input": "a"}
    assert {loss.field for loss in narrow.losses if loss.is_vital} == {Field.DIMENSIONS}


def test_pictures_are_refused_before_anything_is_sent() -> None:
    picture = Media(kind=MediaKind.IMAGE, data="AAAA")
    with pytest.raises(GatewayError) as told:
        faces().write_request(EmbeddingRequest(model="m", inputs=(picture,)), Traits())
    assert told.value.kind is ErrorKind.INVALID_REQUEST


def test_answers_are_put_in_order() -> None:
    body = {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1.5]}], "model": "m"}
    assert faces().read_response(json.dumps(body).encode()).vectors == ((1.5,), (2.0,))
    unnumbered = {"data": [{"embedding": [2]}, {"embedding": [1]}], "usage": {"total_tokens": 4}}
    read = faces().read_response(json.dumps(unnumbered).encode())
    assert read.vectors == ((2.0,), (1.0,))
    assert read.usage == Usage(input_uncached_tokens=4)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"error": {"message": "no"}}', b'{"data": [1]}', b'{"data": [{}]}',
        b'{"data": [{"embedding": "AAA"}]}', b'{"data": [{"embedding": "AA=="}]}', b'{"data": [{"embedding": ["a"]}]}',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told(body: bytes) -> None:
    with pytest.raises(GatewayError):
        faces().read_response(body)


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


some_vectors = st.lists(st.lists(floats, max_size=4).map(tuple), max_size=3).map(tuple)


@given(vectors=some_vectors, form=st.sampled_from(["float", "base64"]))
def test_what_is_written_is_read_as_what_was_said(vectors: tuple[tuple[float, ...], ...], form: str) -> None:
    call = called(input="a", encoding_format=form)
    response = EmbeddingResponse(model="m", vectors=vectors, usage=Usage(input_uncached_tokens=1))
    read = faces().read_response(faces().write_response(response, call, SCENE))
    assert read == response


def test_a_number_too_large_for_float32_is_the_providers_fault() -> None:
    response = EmbeddingResponse(model="m", vectors=((math.ldexp(1.0, 200),),))
    with pytest.raises(GatewayError) as told:
        faces().write_response(response, called(input="a", encoding_format="base64"), SCENE)
    assert told.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
