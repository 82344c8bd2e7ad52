"""A body made to fit an endpoint: members that stand in the path go, those the endpoint demands come."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.ports.provider import Endpoint

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""Values stay the bytes they are."""
_NULL: Final = msgspec.Raw(b"null")


def members(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level members of a JSON object that has been judged already, in order."""
    return _OBJECT.decode(body)


def fitted(body: bytes, endpoint: Endpoint, betas: tuple[str, ...]) -> bytes:
    """The body as the endpoint takes it; the same object where there is nothing to change."""
    if endpoint.model_in_body and not endpoint.body_fields and not (betas and endpoint.beta_field):
        return body
    fields = members(body)
    if not endpoint.model_in_body:
        there = len(fields)
        fields.pop("model", None)
        fields.pop("stream", None)
        if len(fields) == there and not endpoint.body_fields and not betas:
            return body
    for name, value in endpoint.body_fields:
        fields.setdefault(name, msgspec.Raw(msgspec.json.encode(value)))
    if betas and endpoint.beta_field is not None:
        fields[endpoint.beta_field] = msgspec.Raw(msgspec.json.encode(betas))
    return msgspec.json.encode(fields)


def without(body: bytes, names: frozenset[str]) -> bytes:
    """The body without some top-level members."""
    return msgspec.json.encode({name: value for name, value in members(body).items() if name not in names})


_LIMIT: Final = "max_completion_tokens"


def with_limit_as(body: bytes, word: str) -> bytes:
    """A chat completion whose limit on output is told in the word that every server of its kind knows. There are two:
    the newer one is unread by some that know the older."""
    if word == _LIMIT or _LIMIT.encode() not in body:
        return body
    fields = members(body)
    if fields.get(word, _NULL) != _NULL or fields.get(_LIMIT, _NULL) == _NULL:
        return body
    fields.pop(word, None)
    return msgspec.json.encode({word if name == _LIMIT else name: value for name, value in fields.items()})
