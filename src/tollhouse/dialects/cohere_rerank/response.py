"""Ranked documents, read tolerantly and written strictly.

Cohere has `results` and charges by searches (`meta.billed_units.search_units`); Voyage has `data`; Jina, Together and
vLLM report `usage.total_tokens`; some write `score` for `relevance_score`.
"""

from __future__ import annotations

from typing import Any

from tollhouse.core.ranking import Ranked, RerankRequest, RerankResponse
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.cohere_family.answers import answer_of
from tollhouse.dialects.cohere_family.usage import searches_of, usage_of
from tollhouse.dialects.ground_family.counts import Counts
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import ClientCall, Reading
from tollhouse.ports.translation import Scene

from .request import read_request


def read_whole(body: bytes) -> Reading:
    """What the tap sees in an answer. Raises: GatewayError when it is none."""
    return Reading(usage=read_response(body).usage)


def read_response(body: bytes) -> RerankResponse:
    """See ports.translation.RerankFaces.read_response."""
    answer = answer_of(body)
    listed = answer.get("results")
    if listed is None:
        listed = answer.get("data")
    if not isinstance(listed, list):
        raise not_an_answer("answered with a JSON object that has no `results`")
    results = [_ranked(result) for result in listed]
    return RerankResponse(
        id=_text(answer.get("id")),
        model=_text(answer.get("model")),
        results=tuple(sorted(results, key=lambda result: -result.score)),
        usage=usage_of(answer.get("meta")) or _usage_elsewhere(answer.get("usage")),
        searches=searches_of(answer.get("meta")),
    )


def write_response(response: RerankResponse, call: ClientCall, scene: Scene) -> bytes:
    """See ports.translation.RerankFaces.write_response. Documents that are wanted back are the request's own."""
    request, _ = read_request(call)
    document: dict[str, Any] = {
        "id": scene.id,
        "results": [_result(ranked, request) for ranked in response.results],
        "meta": {"api_version": {"version": "2"}},
    }
    if response.searches is not None:
        document["meta"]["billed_units"] = {"search_units": response.searches}
    if response.usage is not None:
        document["meta"]["tokens"] = {
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
        }
    return encode_loosely(document)


def _ranked(result: Any) -> Ranked:
    if not isinstance(result, dict):
        raise not_an_answer("answered with a result that is no object")
    index = result.get("index")
    score = result.get("relevance_score")
    if score is None:
        score = result.get("score")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise not_an_answer("answered with a result that has no `index`")
    if isinstance(score, bool) or not isinstance(score, int | float) or score != score:  # noqa: PLR0124 - NaN
        raise not_an_answer("answered with a result that has no `relevance_score`")
    return Ranked(index=index, score=float(score))


def _result(ranked: Ranked, request: RerankRequest) -> dict[str, Any]:
    result: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.score}
    if request.returns_documents and ranked.index < len(request.documents):
        document = request.documents[ranked.index]
        result["document"] = {"text": document} if isinstance(document, str) else document
    return result


def _usage_elsewhere(reported: Any) -> Usage | None:
    """The `usage` of Jina, Together, vLLM and Voyage: all of it went in."""
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    tokens = counts.read(reported, "total_tokens")
    if tokens is None:
        tokens = counts.read(reported, "prompt_tokens")
    if tokens is None:
        return None
    source = UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED
    return Usage(source=source, input_uncached_tokens=tokens)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
