"""Which of an upstream's endpoints a call takes, and in which wire API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import invalid_request
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate
from tollhouse.ports.dialect import ClientCall, Dialect
from tollhouse.ports.provider import Endpoint, Traits

_UPSTREAM: Final = {Operation.TEXT_COMPLETION: Operation.CHAT}
"""What an operation becomes when it is translated."""
_MOST_WAYS: Final = 10_000
_LONGEST_MODEL: Final = 1_000
"""In a path. AWS's names are the longest, of some 200 characters."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and the dialect it is spoken to in."""

    endpoint: Endpoint
    dialect: Dialect
    is_straight: bool
    """Whether the caller speaks it too."""
    traits: Traits
    """Those of the model, at this endpoint."""


class Ways:
    """`find_way`, remembered: a house has few upstreams and models, and calls them again and again."""

    __slots__ = ("_dialects", "_found")

    def __init__(self, dialects: Mapping[str, Dialect]) -> None:
        self._dialects = dialects
        self._found: dict[tuple[str, str | None, str, Operation, str, bool], Way | None] = {}

    def find(
        self, upstream: Upstream, candidate: Candidate, call: ClientCall, dialect: Dialect
    ) -> Way | None:
        """The way of one call to one candidate."""
        tools = has_tools(call)
        deployment = candidate.deployment
        key = (upstream.name, deployment.dialect, candidate.model, call.operation, dialect.name, tools)
        try:
            return self._found[key]
        except KeyError:
            way = find_way(upstream, candidate, call.operation, dialect, self._dialects, has_tools=tools)
            if len(self._found) >= _MOST_WAYS:
                self._found.clear()  # models named by callers behind a star: there is no end to them
            self._found[key] = way
            return way


def find_way(
    upstream: Upstream,
    candidate: Candidate,
    operation: Operation,
    dialect: Dialect,
    dialects: Mapping[str, Dialect],
    *,
    has_tools: bool = False,
) -> Way | None:
    """The caller's own dialect if the upstream offers it, else the first one that both can be translated by. What the
    deployment names, or what the model alone can be reached in, is the only one considered. None if there is none."""
    wanted = _UPSTREAM.get(operation, operation)
    offered = upstream.dialects
    only = candidate.deployment.dialect
    if only is None and wanted is Operation.CHAT:
        traits = upstream.provider.traits_for(candidate.model)
        only = traits.only_dialect or (traits.tools_dialect if has_tools else None)
    if only is not None and only in upstream.dialects:
        offered = (only,)
    if dialect.name in offered:
        endpoint = upstream.provider.endpoint(operation, dialect.name)
        if endpoint is not None:
            return _way(upstream, candidate, endpoint, dialect, is_straight=True)
    for endpoint in upstream.provider.endpoints:
        other = dialects.get(endpoint.dialect)
        if (
            endpoint.operation is wanted
            and other is not None
            and other.name in offered
            and _can_translate(wanted, dialect, other)
        ):
            return _way(upstream, candidate, endpoint, other, is_straight=False)
    return None


def _way(
    upstream: Upstream, candidate: Candidate, endpoint: Endpoint, dialect: Dialect, *, is_straight: bool
) -> Way:
    traits = upstream.provider.traits_for(candidate.model, endpoint)
    return Way(endpoint=endpoint, dialect=dialect, is_straight=is_straight, traits=traits)


def has_tools(call: ClientCall) -> bool:
    """Whether the request gives a thinking model tools, as far as its top level shows."""
    return _text(call, "tools") not in (b"", b"[]", b"null") and _text(call, "reasoning_effort") != b'"none"'


def _text(call: ClientCall, name: str) -> bytes:
    span = call.spans.get(name)
    return b"" if span is None else call.body[span[0] : span[1]]


def _can_translate(operation: Operation, caller: Dialect, other: Dialect) -> bool:
    match operation:
        case Operation.CHAT:
            faces: tuple[object, object] = (caller.chat, other.chat)
        case Operation.COUNT_TOKENS:
            faces = (caller.counting, other.counting)
        case Operation.EMBEDDINGS:
            faces = (caller.embedding, other.embedding)
        case Operation.RERANK:
            faces = (caller.ranking, other.ranking)
        case _:
            return False
    return None not in faces


def path_of(
    upstream: Upstream, endpoint: Endpoint, model: str, *, is_stream: bool, verb: str | None
) -> bytes:
    """The target of a request: the provider's path below the base URL, with everything filled in.

    Raises: GatewayError for a model's name that would lead elsewhere.
    """
    template = endpoint.path
    if is_stream and endpoint.stream_path is not None:
        template = endpoint.stream_path
    elif verb is not None and endpoint.own_path is not None:
        template = endpoint.own_path
    if "{model}" in template:
        _check_model(model)
    if "{" in template:
        template = template.format(
            model=quote(model, safe=""), verb=quote(verb or "", safe=""), **upstream.settings
        )
    return (upstream.base_path + template).encode("ascii")


def _check_model(model: str) -> None:
    """Behind a star it is the caller's word. It is one segment of the path; but there are servers that decode first and
    look for dots afterwards."""
    segments = f"{model}/{unquote(model)}".replace("\\", "/").split("/")
    if len(model) > _LONGEST_MODEL or not {".", "..", ""}.isdisjoint(segments):
        raise invalid_request(
            f"{model[:200]!r} cannot be the name of a model at this upstream.",
            param="model",
            hint="GET /v1/models lists what this key may use.",
        )
