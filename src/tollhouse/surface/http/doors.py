"""The table of doors: which path leads to which operation, in which wire API. Nothing else is open."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.pipeline import Door

MAIN_DIALECT: Final = "openai_chat"
"""Errors at no door at all are told in this one."""

_MODELS: Final = Door(operation=Operation.LIST_MODELS, dialect=MAIN_DIALECT)
_MODELS_BY_HEADER: Final = {
    b"anthropic-version": Door(operation=Operation.LIST_MODELS, dialect="anthropic_messages"),
    b"x-goog-api-key": Door(operation=Operation.LIST_MODELS, dialect="gemini_generate"),
}
"""OpenAI's, Anthropic's and Google's clients ask for models at the same path; these headers tell them apart."""
_GEMINI_MODELS: Final = Door(operation=Operation.LIST_MODELS, dialect="gemini_generate")
_KEY: Final = Door(operation=Operation.SHOW_KEY, dialect=MAIN_DIALECT)
_CLIENT_TOKENS: Final = Door(operation=Operation.MINT_CLIENT_TOKEN, dialect=MAIN_DIALECT)
_PASSTHROUGH: Final = Door(operation=Operation.PASSTHROUGH, dialect=MAIN_DIALECT)
_CHAT: Final = Door(operation=Operation.CHAT, dialect="openai_chat")
_COMPLETIONS: Final = Door(operation=Operation.TEXT_COMPLETION, dialect="openai_completions")
_EMBEDDINGS: Final = Door(operation=Operation.EMBEDDINGS, dialect="openai_embeddings")
_RESPONSES: Final = Door(operation=Operation.CHAT, dialect="openai_responses")
_RERANK: Final = Door(operation=Operation.RERANK, dialect="cohere_rerank")

DOORS: Final = {
    "/v1/chat/completions": ("POST", _CHAT),
    "/v1/completions": ("POST", _COMPLETIONS),
    "/v1/embeddings": ("POST", _EMBEDDINGS),
    "/v1/responses": ("POST", _RESPONSES),
    "/v1/messages": ("POST", Door(operation=Operation.CHAT, dialect="anthropic_messages")),
    "/v1/messages/count_tokens": (
        "POST",
        Door(operation=Operation.COUNT_TOKENS, dialect="anthropic_messages"),
    ),
    "/v1/rerank": ("POST", _RERANK),
    "/v2/rerank": ("POST", _RERANK),
    "/v2/chat": ("POST", Door(operation=Operation.CHAT, dialect="cohere_chat")),
    "/v2/embed": ("POST", Door(operation=Operation.EMBEDDINGS, dialect="cohere_embed")),
    "/v1/models": ("GET", _MODELS),
    "/v1beta/models": ("GET", _GEMINI_MODELS),
    "/v1/key": ("GET", _KEY),
    "/v1/client_tokens": ("POST", _CLIENT_TOKENS),
    "/openai/v1/chat/completions": ("POST", _CHAT),
    "/openai/v1/embeddings": ("POST", _EMBEDDINGS),
    "/openai/v1/responses": ("POST", _RESPONSES),
    "/openai/v1/models": ("GET", _MODELS),
}
"""Exact paths with their one method; GET brings HEAD with it."""

PREFIXES: Final = (
    ("/v1/models/", "GET", _MODELS),
    ("/v1beta/models/", "GET", _GEMINI_MODELS),
    ("/openai/v1/models/", "GET", _MODELS),
    ("/passthrough/", "GET, POST, PUT, PATCH, DELETE", _PASSTHROUGH),
)
"""Paths that go on, with their methods. TRACE is among no door's: it makes a server repeat a request's headers, and the
one that goes upstream carries the provider's key."""

OPEN_DOORS: Final = ("/healthz", "/readyz", "/metrics")
"""The only paths that ask for no key; all by GET."""


class Pattern(msgspec.Struct, frozen=True):
    """Paths that name a model, or an earlier response."""

    text: str
    """For people, with `{model}` in it."""
    path: re.Pattern[str]
    door: Callable[[re.Match[str]], Door]
    methods: str = "POST"


_GEMINI_VERBS: Final = {
    "generateContent": (Operation.CHAT, "gemini_generate", False),
    "streamGenerateContent": (Operation.CHAT, "gemini_generate", True),
    "countTokens": (Operation.COUNT_TOKENS, "gemini_generate", None),
    "embedContent": (Operation.EMBEDDINGS, "gemini_embed", None),
    "batchEmbedContents": (Operation.EMBEDDINGS, "gemini_embed", None),
}
_AZURE_VERBS: Final = {
    "chat/completions": _CHAT,
    "completions": _COMPLETIONS,
    "embeddings": _EMBEDDINGS,
}


def _gemini(match: re.Match[str]) -> Door:
    operation, dialect, is_stream = _GEMINI_VERBS[match[2]]
    return Door(
        operation=operation, dialect=dialect, model=unquote(match[1]), verb=match[2], is_stream=is_stream
    )


def _converse(match: re.Match[str]) -> Door:
    return Door(
        operation=Operation.CHAT,
        dialect="bedrock_converse",
        model=unquote(match[1]),
        is_stream=match[2] == "converse-stream",
    )


def _azure(match: re.Match[str]) -> Door:
    return msgspec.structs.replace(_AZURE_VERBS[match[2]], model=unquote(match[1]))


def _stored(operation: Operation) -> Callable[[re.Match[str]], Door]:
    def door(match: re.Match[str]) -> Door:
        return Door(operation=operation, dialect="openai_responses", response=match[1])

    return door


_RESPONSE: Final = r"/(?:openai/)?v1/responses/((?!compact$|input_tokens$)[^/]{1,500})"

PATTERNS: Final = (
    Pattern(
        "/v1beta/models/{model}:{verb}",
        re.compile(rf"/v1(?:beta)?/models/(.{{1,1000}}):({'|'.join(_GEMINI_VERBS)})"),
        _gemini,
    ),
    Pattern(
        "/model/{model}/converse[-stream]",
        re.compile(r"/model/(.{1,1000})/(converse|converse-stream)"),
        _converse,
    ),
    Pattern(
        "/openai/deployments/{model}/{operation}",
        re.compile(rf"/openai/deployments/([^/]{{1,1000}})/({'|'.join(_AZURE_VERBS)})"),
        _azure,
    ),
    Pattern("/v1/responses/{id}", re.compile(_RESPONSE), _stored(Operation.RETRIEVE_RESPONSE), "GET"),
    Pattern("/v1/responses/{id}", re.compile(_RESPONSE), _stored(Operation.DELETE_RESPONSE), "DELETE"),
    Pattern(
        "/v1/responses/{id}/cancel", re.compile(_RESPONSE + "/cancel"), _stored(Operation.CANCEL_RESPONSE)
    ),
    Pattern(
        "/v1/responses/{id}/input_items",
        re.compile(_RESPONSE + "/input_items"),
        _stored(Operation.LIST_INPUT_ITEMS),
        "GET",
    ),
)
"""A path may stand here more than once, each time with other methods."""


_NO_HEADERS: Final[Mapping[bytes, bytes]] = {}


def find_door(
    method: str, path: str, headers: Mapping[bytes, bytes] = _NO_HEADERS
) -> tuple[Door | None, str | None]:
    """The door at a path, or None; and where the method is wrong, the one that is right.

    The path is taken as it was sent: nothing is resolved, and only a model's name in it is decoded. `headers` tell
    whose client it is where several have the same path.
    """
    door, allowed = _door_at(method, path)
    if door is _MODELS:
        for name, other in _MODELS_BY_HEADER.items():
            if name in headers:
                return other, None
    return door, allowed


def _door_at(method: str, path: str) -> tuple[Door | None, str | None]:
    exact = DOORS.get(path)
    if exact is not None:
        allowed, door = exact
        return (door, None) if takes(method, allowed) else (None, allowed)
    others: list[str] = []
    for pattern in PATTERNS:
        match = pattern.path.fullmatch(path)
        if match is not None:
            if takes(method, pattern.methods):
                return pattern.door(match), None
            others.append(pattern.methods)
    if others:
        return None, ", ".join(others)
    for prefix, only, door in PREFIXES:
        if path.startswith(prefix):
            return (door, None) if takes(method, only) else (None, only)
    return None, None


def dialect_at(path: str) -> str:
    """The wire API a caller at this path most likely speaks, for telling errors where there is no door."""
    if path.startswith("/v1/messages"):
        return "anthropic_messages"
    if path.startswith("/v1beta/"):
        return "gemini_generate"
    if path.startswith(("/v1/responses", "/openai/v1/responses")):
        return "openai_responses"
    if path.startswith("/model/"):
        return "bedrock_converse"
    return "cohere_chat" if path.startswith("/v2/") else MAIN_DIALECT


def takes(method: str, allowed: str) -> bool:
    """Whether a door for some methods takes another: HEAD is GET without the body (RFC 9110, 9.3.2)."""
    return ("GET" if method == "HEAD" else method) in allowed.split(", ")


def no_such_door(method: str, path: str, allowed: str | None) -> GatewayError:
    """There is nothing at this path, or not by this method."""
    if allowed is not None:
        return invalid_request(f"{path[:200]} takes {allowed}, not {method[:20]}.", hint=f"Use {allowed}.")
    return GatewayError(
        ErrorKind.ROUTE_NOT_FOUND,
        f"There is no door at {path[:200]}.",
        blame=Blame.CLIENT,
        hint="The base URL is http(s)://<host>/v1 for OpenAI's SDKs, http(s)://<host> for Anthropic's, Google's, "
        "Cohere's and AWS's.",
    )
