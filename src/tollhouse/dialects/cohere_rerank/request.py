"""Requests to rank documents, read and written."""

from __future__ import annotations

from typing import Any

from tollhouse.core.errors import invalid_request
from tollhouse.core.ranking import RerankRequest
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.loose_json import encode_loosely, json_text
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Written
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType


def read_request(call: ClientCall) -> tuple[RerankRequest, tuple[str, ...]]:
    """See ports.translation.RerankFaces.read_request. Voyage's clients say `top_k` for `top_n`."""
    leftovers = Leftovers()
    with told_to_callers():
        fields = Fields(decoded(call.body), "", leftovers)
        fields.ignore("model")
        fields.ignore_if("priority", 0)
        top_n = fields.take_integer("top_n")
        request = RerankRequest(
            model=call.model,
            query=fields.need_text("query"),
            documents=_documents(fields),
            top_n=top_n if top_n is not None else fields.take_integer("top_k"),
            returns_documents=fields.take_flag("return_documents") or False,
        )
    return request, leftovers.paths()


def _documents(fields: Fields) -> tuple[Any, ...]:
    documents = fields.take_list("documents")
    if documents is None:
        raise WrongType("documents", "a list")
    for index, document in enumerate(documents):
        if not isinstance(document, str | dict):
            raise WrongType(f"documents[{index}]", "a text or an object")
    return tuple(documents)


def write_request(request: RerankRequest) -> Written:
    """See ports.translation.RerankFaces.write_request. Documents go as texts, which everybody takes, and are not asked
    back: whoever wants them in the answer is given his own."""
    body: dict[str, Any] = {"model": request.model}
    if request.top_n is not None:
        body["top_n"] = request.top_n
    body["query"] = request.query
    try:
        body["documents"] = [_text_of(document) for document in request.documents]
        return Written(body=encode_loosely(body))
    except RecursionError:
        raise invalid_request("The documents are nested too deeply.", param="documents") from None


def _text_of(document: Any) -> str:
    """An object of more than a `text` is told line by line, as Cohere advises (YAML, one member a line)."""
    if isinstance(document, str):
        return document
    if isinstance(document, dict) and document.keys() == {"text"} and isinstance(document["text"], str):
        return document["text"]
    if not isinstance(document, dict):
        return json_text(document)
    return "\n".join([f"{name}: {_plain(value)}" for name, value in document.items()])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)
