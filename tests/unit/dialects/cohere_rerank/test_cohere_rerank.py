"""Reranking: forwarded as it is, and read from all who answer in nearly the same shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.ranking import Ranked, RerankRequest, RerankResponse
from tollhouse.core.usage import Usage
from tollhouse.dialects.cohere_rerank import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import RerankFaces, Scene

SCENE = Scene(id="x1", now=1, model="m")
PAIR = (Ranked(index=1, score=0.9), Ranked(index=0, score=0.25))


def faces() -> RerankFaces:
    assert DIALECT.ranking is not None
    return DIALECT.ranking


def called(**members: Any) -> ClientCall:
    body = {"model": "m", "query": "q", "documents": ["a", "b"], **members}
    return DIALECT.read(Ask(operation=Operation.RERANK, body=json.dumps(body).encode()))


def answered(**members: Any) -> RerankResponse:
    return faces().read_response(json.dumps(members).encode())


def test_it_is_a_dialect_with_faces_for_reranking() -> None:
    assert isinstance(DIALECT, Dialect)
    assert isinstance(DIALECT.ranking, RerankFaces)
    assert DIALECT.operations == {Operation.RERANK}
    with pytest.raises(GatewayError, match="has no streams"):
        DIALECT.tap_stream(called())


def test_requests_are_forwarded_but_for_the_model() -> None:
    call = called(stream=True)
    assert not call.is_stream
    assert DIALECT.forward(call, "n", ask_usage=True) == call.body.replace(b'"m"', b'"n"')


def test_requests_are_read_with_nothing_lost() -> None:
    request, left = faces().read_request(
        called(
            documents=["a", {"text": "b", "year": 1}], top_n=1, return_documents=True, rank_fields=["text"]
        )
    )
    assert request == RerankRequest(
        model="m", query="q", documents=("a", {"text": "b", "year": 1}), top_n=1, returns_documents=True
    )
    assert left == ("rank_fields",)


def test_voyages_word_for_the_number_of_results_is_understood() -> None:
    request, left = faces().read_request(called(top_k=3, truncation=True))
    assert (request.top_n, left) == (3, ("truncation",))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"query": None}, "query"),
        ({"documents": [1]}, "documents[0]"),
        ({"top_n": "2"}, "top_n"),
        ({"return_documents": 1}, "return_documents"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as refused:
        faces().read_request(called(**members))
    assert (refused.value.kind, refused.value.param) == (ErrorKind.INVALID_REQUEST, param)


@pytest.mark.parametrize("documents", [None, "a", {}])
def test_documents_must_be_a_list(documents: Any) -> None:
    with pytest.raises(GatewayError) as refused:
        called(documents=documents)
    assert refused.value.param == "documents"


def test_documents_are_written_as_texts() -> None:
    request = RerankRequest(
        model="m", query="q", documents=("a", {"text": "b"}, {"title": "T", "year": 1}), top_n=2
    )
    written = faces().write_request(request, Traits())
    assert written.losses == ()
    assert json.loads(written.body) == {
        "model": "m",
        "top_n": 2,
        "query": "q",
        "documents": ["a", "b", "title: T\nyear: 1"],
    }


@given(st.lists(st.text(), min_size=1, max_size=3), st.none() | st.integers(1, 9))
def test_what_is_written_is_read_as_it_was(documents: list[str], top_n: int | None) -> None:
    request = RerankRequest(model="m", query="q", documents=tuple(documents), top_n=top_n)
    body = faces().write_request(request, Traits()).body
    assert faces().read_request(DIALECT.read(Ask(operation=Operation.RERANK, body=body))) == (request, ())


COHERE = {
    "id": "r",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.25}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
}


def test_coheres_answers_charge_by_searches() -> None:
    assert answered(**COHERE) == RerankResponse(id="r", model="", results=PAIR, searches=1)


def test_voyages_answers_have_data() -> None:
    assert answered(
        object="list", data=COHERE["results"], model="rerank-2", usage={"total_tokens": 57}
    ) == RerankResponse(id="", model="rerank-2", results=PAIR, usage=Usage(input_uncached_tokens=57))


def test_vllms_and_jinas_answers_have_documents_and_tokens() -> None:
    results = [{**result, "document": {"text": "x"}} for result in COHERE["results"]]  # type: ignore[union-attr]
    usage = {"total_tokens": 9, "prompt_tokens": 8}
    assert answered(id="j", model="jina", results=results, usage=usage) == RerankResponse(
        id="j", model="jina", results=PAIR, usage=Usage(input_uncached_tokens=9)
    )


def test_the_best_comes_first_whatever_order_it_came_in() -> None:
    results = [{"index": 0, "score": 0.25}, {"index": 1, "score": 0.9}]
    assert answered(results=results).results == PAIR


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"message":"no such model"}',
        b'{"results":{}}',
        b'{"results":[1]}',
        b'{"results":[{"index":-1,"relevance_score":1}]}',
        b'{"results":[{"index":0}]}',
        b'{"results":[{"relevance_score":1}]}',
        b'{"results":[{"index":true,"relevance_score":1}]}',
    ],
)
def test_what_is_no_ranking_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError):
        DIALECT.tap_unary(body, Operation.RERANK)
    with pytest.raises(GatewayError):
        faces().read_response(body)


def test_the_tap_reads_tokens_where_they_are_told() -> None:
    body = json.dumps({**COHERE, "meta": {"tokens": {"input_tokens": 5, "output_tokens": 0}}}).encode()
    reading = DIALECT.tap_unary(body, Operation.RERANK)
    assert reading.usage == Usage(input_uncached_tokens=5)
    assert DIALECT.tap_unary(json.dumps(COHERE).encode(), Operation.RERANK).usage is None


def test_answers_are_written_in_coheres_shape() -> None:
    response = RerankResponse(
        id="r", model="m", results=PAIR, usage=Usage(input_uncached_tokens=4), searches=1
    )
    assert json.loads(faces().write_response(response, called(), SCENE)) == {
        "id": "x1",
        "results": COHERE["results"],
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": 4, "output_tokens": 0},
        },
    }


def test_documents_wanted_back_are_the_requests_own() -> None:
    call = called(documents=["a", {"text": "b", "year": 1}], return_documents=True)
    beyond = RerankResponse(id="r", model="m", results=(*PAIR, Ranked(index=7, score=0.1)))
    results = json.loads(faces().write_response(beyond, call, SCENE))["results"]
    assert [result.get("document") for result in results] == [{"text": "b", "year": 1}, {"text": "a"}, None]


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), max_size=4))
def test_a_ranking_that_is_written_is_read_as_it_was(pairs: list[tuple[int, float]]) -> None:
    results = tuple(
        sorted([Ranked(index=i, score=score) for i, score in pairs], key=lambda ranked: -ranked.score)
    )
    response = RerankResponse(id="x1", model="", results=results, searches=2)
    assert faces().read_response(faces().write_response(response, called(), SCENE)) == response
