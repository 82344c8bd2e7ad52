"""Embeddings in Cohere's words: texts, pictures, and vectors as numbers or in base64."""

from __future__ import annotations

import base64
import json
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
from tollhouse.dialects.cohere_embed import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EmbeddingFaces, Scene

SCENE = Scene(id="x1", now=1, model="m")
PNG = Media(kind=MediaKind.IMAGE, media_type="image/png", data="AAAA")
URI = "data:image/png;base64,AAAA"
COUNTED = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}}


def faces() -> EmbeddingFaces:
    assert DIALECT.embedding is not None
    return DIALECT.embedding


def called(**members: Any) -> ClientCall:
    body = {"model": "m", "input_type": "search_query", **members}
    return DIALECT.read(Ask(operation=Operation.EMBEDDINGS, body=json.dumps(body).encode()))


def written(*inputs: Any, traits: Traits | None = None, **members: Any) -> tuple[dict[str, Any], list[Field]]:
    out = faces().write_request(EmbeddingRequest(model="m", inputs=inputs, **members), traits or Traits())
    return json.loads(out.body), [loss.field for loss in out.losses]


def test_it_is_a_dialect_with_faces_for_embeddings() -> None:
    assert isinstance(DIALECT, Dialect)
    assert isinstance(DIALECT.embedding, EmbeddingFaces)
    assert DIALECT.operations == {Operation.EMBEDDINGS}


def test_requests_are_read_with_nothing_lost() -> None:
    request, left = faces().read_request(
        called(
            texts=["a", "b"],
            output_dimension=256,
            truncate="END",
            embedding_types=["float", "base64"],
            max_tokens=9,
            priority=0,
        )
    )
    assert request == EmbeddingRequest(
        model="m",
        inputs=("a", "b"),
        dimensions=256,
        task=EmbeddingTask.QUERY,
        truncate="end",
    )
    assert left == ("max_tokens",)


def test_pictures_are_read_in_both_places() -> None:
    content = [{"type": "image_url", "image_url": {"url": URI}}]
    inputs = [
        {"content": content},
        {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    request, left = faces().read_request(called(input_type="image", images=[URI], inputs=inputs))
    assert (request.inputs, request.task, left) == ((PNG, PNG, "a\nb"), None, ())


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"texts": [1]}, "texts"),
        ({"images": [1]}, "images"),
        ({"texts": ["a"], "input_type": None}, "input_type"),
        ({"texts": ["a"], "input_type": "poem"}, "input_type"),
        ({"texts": ["a"], "truncate": "MIDDLE"}, "truncate"),
        ({"texts": ["a"], "output_dimension": "big"}, "output_dimension"),
        ({"inputs": [{"content": []}]}, "inputs[0].content"),
        ({"inputs": [{"content": [{"type": "audio"}]}]}, "inputs[0].content[0].type"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as refused:
        faces().read_request(called(**members))
    assert (refused.value.kind, refused.value.param) == (ErrorKind.INVALID_REQUEST, param)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"texts": ["a"], "embedding_types": ["int8"]}, "embedding_types"),
        ({"texts": ["a"], "embedding_types": ["float", {}]}, "embedding_types"),
        (
            {
                "inputs": [
                    {
                        "content": [
                            {"type": "text", "text": "a"},
                            {"type": "image_url", "image_url": {"url": URI}},
                        ]
                    }
                ]
            },
            "inputs[0].content",
        ),
    ],
)
def test_what_only_cohere_can_do_is_refused_elsewhere(members: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as refused:
        faces().read_request(called(**members))
    assert (refused.value.kind, refused.value.param) == (ErrorKind.UNSUPPORTED_PARAMETER, param)


def test_something_to_embed_must_be_there() -> None:
    with pytest.raises(GatewayError) as refused:
        called(texts=None)
    assert refused.value.param == "texts"


def test_the_type_of_input_is_always_said() -> None:
    body, losses = written("a", dimensions=5, truncate="none")
    assert body == {
        "model": "m",
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 5,
        "truncate": "NONE",
        "texts": ["a"],
    }
    assert losses == []


@pytest.mark.parametrize("task", list(EmbeddingTask))
def test_every_task_has_a_type_or_is_declared_lost(task: EmbeddingTask) -> None:
    body, losses = written("a", task=task)
    assert body["input_type"] in ("search_document", "search_query", "classification", "clustering")
    assert losses == ([Field.EMBEDDING_TASK] if task is EmbeddingTask.SIMILARITY else [])


def test_what_cohere_is_not_told_is_declared() -> None:
    traits = Traits(unsupported=frozenset({Field.DIMENSIONS, Field.TRUNCATION}))
    body, losses = written("a", traits=traits, dimensions=5, truncate="end", title="t", end_user="u")
    assert {"output_dimension", "truncate"} & set(body) == set()
    assert set(losses) == {Field.DIMENSIONS, Field.TRUNCATION, Field.EMBEDDING_TASK, Field.END_USER}


def test_pictures_are_written_alone_or_with_texts() -> None:
    alone, _ = written(PNG)
    assert (alone["input_type"], alone["images"]) == ("image", [URI])
    both, _ = written("a", PNG)
    assert both["inputs"] == [
        {"content": [{"type": "text", "text": "a"}]},
        {"content": [{"type": "image_url", "image_url": {"url": URI}}]},
    ]


@pytest.mark.parametrize(
    "thing",
    [
        (1, 2),
        Media(kind=MediaKind.IMAGE, url="https://example.com/a.png"),
        Media(kind=MediaKind.AUDIO, data="AAAA"),
    ],
)
def test_what_cohere_cannot_embed_is_refused(thing: Any) -> None:
    with pytest.raises(GatewayError) as refused:
        written(thing)
    assert refused.value.kind is ErrorKind.INVALID_REQUEST


tasks = [EmbeddingTask.QUERY, EmbeddingTask.DOCUMENT, EmbeddingTask.CLASSIFICATION, EmbeddingTask.CLUSTERING]


@given(
    st.builds(
        EmbeddingRequest,
        model=st.just("m"),
        inputs=st.lists(st.text() | st.just(PNG), min_size=1, max_size=3)
        .filter(lambda things: any(isinstance(thing, str) for thing in things))
        .map(tuple),
        dimensions=st.none() | st.integers(1, 99),
        task=st.sampled_from(tasks),
        truncate=st.none() | st.sampled_from(["none", "start", "end"]),
    )
)
def test_what_is_written_is_read_as_it_was(request: EmbeddingRequest) -> None:
    out = faces().write_request(request, Traits())
    assert out.losses == ()
    call = DIALECT.read(Ask(operation=Operation.EMBEDDINGS, body=out.body))
    assert faces().read_request(call) == (request, ())


@pytest.mark.parametrize(
    "embeddings",
    [
        {"float": [[0.5, 1], [-2, 0]]},
        [[0.5, 1], [-2, 0]],
        {"base64": [base64.b64encode(struct.pack("<2f", *v)).decode() for v in ([0.5, 1.0], [-2.0, 0.0])]},
    ],
)
def test_vectors_are_read_in_every_form(embeddings: Any) -> None:
    body = json.dumps({"id": "e", "embeddings": embeddings, "meta": COUNTED}).encode()
    usage = Usage(input_uncached_tokens=7)
    assert faces().read_response(body) == EmbeddingResponse(
        model="", vectors=((0.5, 1.0), (-2.0, 0.0)), usage=usage
    )
    assert DIALECT.tap_unary(body, Operation.EMBEDDINGS).usage == usage


def test_pictures_are_counted_as_pictures() -> None:
    meta = {"billed_units": {"images": 1, "image_tokens": 12}}
    body = json.dumps({"embeddings": {"float": [[1]]}, "meta": meta}).encode()
    assert DIALECT.tap_unary(body, Operation.EMBEDDINGS).usage == Usage(input_image_tokens=12)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"message":"no"}',
        b'{"embeddings":7}',
        b'{"embeddings":null}',
        b'{"embeddings":"x"}',
    ],
)
def test_what_are_no_vectors_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError):
        DIALECT.tap_unary(body, Operation.EMBEDDINGS)
    with pytest.raises(GatewayError):
        faces().read_response(body)


@pytest.mark.parametrize("rows", [[1], [["a"]], [[None]], ["!"], ["AAA="], [{"a": 1}]])
def test_odd_vectors_are_refused(rows: Any) -> None:
    with pytest.raises(GatewayError):
        faces().read_response(json.dumps({"embeddings": rows}).encode())


def test_the_words_of_an_error_are_kept() -> None:
    with pytest.raises(GatewayError, match="no such model"):
        DIALECT.tap_unary(b'{"id":"x","message":"no such model"}', Operation.EMBEDDINGS)


def test_answers_are_written_in_the_forms_asked_for() -> None:
    response = EmbeddingResponse(model="m", vectors=((0.5, 1.0),), usage=Usage(input_uncached_tokens=7))
    packed = base64.b64encode(struct.pack("<2f", 0.5, 1.0)).decode()
    assert json.loads(faces().write_response(response, called(texts=["a"]), SCENE)) == {
        "response_type": "embeddings_by_type",
        "id": "x1",
        "embeddings": {"float": [[0.5, 1.0]]},
        "texts": ["a"],
        "meta": COUNTED,
    }
    both = called(texts=["a"], embedding_types=["base64", "float"])
    embeddings = json.loads(faces().write_response(response, both, SCENE))["embeddings"]
    assert embeddings == {"float": [[0.5, 1.0]], "base64": [packed]}


def test_numbers_too_large_for_base64_are_the_upstreams_fault() -> None:
    call = called(texts=["a"], embedding_types=["base64"])
    with pytest.raises(GatewayError) as fault:
        faces().write_response(EmbeddingResponse(model="m", vectors=((1e300,),)), call, SCENE)
    assert fault.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4), max_size=3))
def test_vectors_that_are_written_are_read_as_they_were(rows: list[list[float]]) -> None:
    vectors = tuple([tuple(row) for row in rows])
    for form in ("float", "base64"):
        call = called(texts=["a"], embedding_types=[form])
        body = faces().write_response(EmbeddingResponse(model="", vectors=vectors), call, SCENE)
        assert faces().read_response(body).vectors == vectors
