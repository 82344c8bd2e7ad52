"""The table of doors: which path leads to which operation, in which wire API. Nothing else is open."""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.pipeline import Door

MAIN_DIALECT: Final = "openai_chat"
"""Errors at no door at all are told in this one."""

_MODELS: Final = Door(operation=Operation.LIST_MODELS, dialect=MAIN_DIALECT)
_PASSTHROUGH: Final = Door(operation=Operation.PASSTHROUGH, dialect=MAIN_DIALECT)

DOORS: Final = {
    "/v1/chat/completions": ("POST", Door(operation=Operation.CHAT, dialect="openai_chat")),
    "/v1/completions": ("POST", Door(operation=Operation.TEXT_COMPLETION, dialect="openai_completions")),
    "/v1/embeddings": ("POST", Door(operation=Operation.EMBEDDINGS, dialect="openai_embeddings")),
    "/v1/models": ("GET", _MODELS),
}
"""Exact paths with their one method; GET brings HEAD with it."""

PREFIXES: Final = (
    ("/v1/models/", "GET", _MODELS),
    ("/passthrough/", "GET, POST, PUT, PATCH, DELETE", _PASSTHROUGH),
)
"""Paths that go on, with their methods. TRACE is among no door's: it makes a server repeat a request's headers, and the
one that goes upstream carries the provider's key."""

OPEN_DOORS: Final = ("/healthz", "/readyz", "/metrics")
"""The only paths that ask for no key; all by GET."""


def find_door(method: str, path: str) -> tuple[Door | None, str | None]:
    """The door at a path, or None; and where the method is wrong, the one that is right.

    The path is taken as it was sent: nothing is decoded or resolved, so there is one spelling of every door.
    """
    exact = DOORS.get(path)
    if exact is not None:
        allowed, door = exact
        return (door, None) if takes(method, allowed) else (None, allowed)
    for prefix, only, door in PREFIXES:
        if path.startswith(prefix):
            return (door, None) if takes(method, only) else (None, only)
    return None, None


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
        hint="The base URL for OpenAI's SDKs is http(s)://<host>/v1.",
    )
