"""Gemini's embeddings, by ones and in batches."""

from __future__ import annotations

import json
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
from tollhouse.dialects.gemini_embed import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene

FACES = DIALECT.embedding
SCENE = Scene(id="x", now=1, model="asked")


def called(body: Any) -> ClientCall:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.read(Ask(operation=Operation.EMBEDDINGS, body=raw, path_model="route"))


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": {"parts": [{"text": said}]}, **more}


ONE = called(text("a"))
MANY = called({"requests": [text("a"), text("b")]})


def test_one_text_is_asked_for_by_its_content_and_many_in_a_batch() -> None:
    one, _ = FACES.read_request(
        called(text("a", taskType="RETRIEVAL_QUERY", title="t", output_dimensionality=3))
    )
    assert one == EmbeddingRequest(
        model="route", inputs=("a",), task=EmbeddingTask.QUERY, title="t", dimensions=3, is_single=True
    )
    many, leftovers = FACES.read_request(
        called({"requests": [text("a", model="models/x"), text("b", model="models/x")]})
    )
    assert (many.inputs, many.is_single, leftovers) == (("a", "b"), False, ())


def test_parts_are_texts_together_or_one_file() -> None:
    read, _ = FACES.read_request(
        called({"content": {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}})
    )
    assert read.inputs == ("a\nb",)
    blob = {"inline_data": {"mime_type": "image/png", "data": "-_8"}}
    read, _ = FACES.read_request(called({"content": {"parts": [blob]}}))
    assert read.inputs == (Media(kind=MediaKind.IMAGE, media_type="image/png", data="+/8="),)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "content"),
        (b'{"content":{},"content":{}}', "content"),
        ({"content": {}}, "content.parts"),
        ({"content": {"parts": [{}]}}, "content.parts[0].text"),
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        (text("a", taskType="SINGING"), "taskType"),
        ({"requests": [text("a"), text("b", taskType="CLUSTERING")]}, "requests[1]"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: Any, param: str) -> None:
    with pytest.raises(GatewayError) as told:
        FACES.read_request(called(body))
    assert (told.value.kind, told.value.param) == (ErrorKind.INVALID_REQUEST, param)


def test_answers_have_the_form_that_was_asked_for() -> None:
    response = EmbeddingResponse(model="m", vectors=((1.0, 2.0),), usage=Usage(input_uncached_tokens=3))
    assert json.loads(FACES.write_response(response, ONE, SCENE)) == {
        "embedding": {"values": [1.0, 2.0]}, "usageMetadata": {"promptTokenCount": 3},
    }  # fmt: skip
    bare = EmbeddingResponse(model="m", vectors=((1.0,), (2.0,)))
    assert json.loads(FACES.write_response(bare, MANY, SCENE)) == {
        "embeddings": [{"values": [1.0]}, {"values": [2.0]}]
    }


def test_upstream_everything_is_a_batch() -> None:
    request = EmbeddingRequest(
        model="real", inputs=("a", Media(kind=MediaKind.IMAGE, data="AAAA")), task=EmbeddingTask.DOCUMENT, title="t",
        dimensions=8, end_user="u", truncate="end",
    )  # fmt: skip
    written = FACES.write_request(request, Traits())
    settings = {"taskType": "RETRIEVAL_DOCUMENT", "title": "t", "outputDimensionality": 8}
    assert json.loads(written.body) == {
        "requests": [
            {"model": "models/real", "content": {"parts": [{"text": "a"}]}, **settings},
            {
                "model": "models/real",
                "content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                **settings,
            },
        ]
    }
    assert {loss.field for loss in written.losses} == {Field.END_USER, Field.TRUNCATION}


def test_tokens_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(GatewayError) as told:
        FACES.write_request(EmbeddingRequest(model="m", inputs=((1, 2),)), Traits())
    assert told.value.kind is ErrorKind.INVALID_REQUEST


def test_both_forms_of_answers_are_read() -> None:
    assert FACES.read_response(b'{"embedding": {"values": [1, 2.5]}}').vectors == ((1.0, 2.5),)
    many = b'{"embeddings": [{"values": [1]}, {"values": []}], "usageMetadata": {"promptTokenCount": 4}}'
    read = FACES.read_response(many)
    assert (read.vectors, read.usage) == (((1.0,), ()), Usage(input_uncached_tokens=4))
    assert DIALECT.tap_unary(many, Operation.EMBEDDINGS).usage == Usage(input_uncached_tokens=4)
    assert DIALECT.tap_unary(b'{"embeddings": []}', Operation.EMBEDDINGS).usage is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"error": {"code": 400, "message": "no"}}', b'{"embeddings": 1}']
)
def test_what_is_no_answer_is_told(body: bytes) -> None:
    for judge in (FACES.read_response, lambda body: DIALECT.tap_unary(body, Operation.EMBEDDINGS)):
        with pytest.raises(GatewayError):
            judge(body)


def test_the_models_name_is_exchanged_wherever_it_stands_and_nothing_else_is_touched() -> None:
    body = (
        b'{ "model":"models/route", "requests" : [ {"model" : "models/route","x":1.0}, {"a":"{}"} ,'
        b'{"model":"models/route"}]}'
    )
    out = DIALECT.forward(called(body), "real", ask_usage=False)
    assert out == body.replace(b"models/route", b"models/real")
    assert DIALECT.forward(called(body), "route", ask_usage=False) is body


texts = st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4)


@given(inputs=texts.map(tuple), task=st.none() | st.sampled_from(EmbeddingTask))
def test_what_is_written_is_read_as_what_was_said(
    inputs: tuple[str, ...], task: EmbeddingTask | None
) -> None:
    request = EmbeddingRequest(model="route", inputs=inputs, task=task, dimensions=5)
    assert FACES.read_request(called(FACES.write_request(request, Traits()).body)) == (request, ())
