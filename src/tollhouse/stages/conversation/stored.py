"""Earlier answers, asked for by their ids: what the house says of those it keeps itself.

Source: OpenAI's API reference, "Get a model response", "Delete a model response", "Cancel a response" and "List input
items", in the words of the types of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.loose_json import decode_loosely, encode_loosely

from .memory import Memory

_USUAL_PAGE: Final = 20
_LARGEST_PAGE: Final = 100
_LONGEST_NAME: Final = 200


_PARAMETERS: Final = frozenset(
    ["after", "before", "include", "include_obfuscation", "limit", "order", "starting_after", "stream"]
)


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an earlier answer."""

    operation: Operation
    response_id: str
    query: str


def not_found(name: str, param: str | None) -> GatewayError:
    """The same whether nobody has it or another tenant does."""
    return GatewayError(
        ErrorKind.ROUTE_NOT_FOUND,
        f"There is no earlier response named {name[:_LONGEST_NAME]!r}."
        if param != "input"
        else f"There is no earlier item named {name[:_LONGEST_NAME]!r}.",
        blame=Blame.CLIENT,
        param=param,
        hint="The house knows answers for a day and until it restarts, and only those of this key or its team. Send "
        "the conversation itself.",
    )


def asked(query: str) -> list[str]:
    """The parts of a caller's query that the reference knows, as they came: an upstream gets no others."""
    return [
        part for part in query.split("&") if unquote(part.partition("=")[0]).partition("[")[0] in _PARAMETERS
    ]


def answer_of(doing: Doing, memory: Memory) -> bytes:
    """The answer about a response the house keeps. Raises: GatewayError."""
    name = doing.response_id
    kept = memory.kept(name)
    if kept is None:
        raise not_found(name, None)
    match doing.operation:
        case Operation.RETRIEVE_RESPONSE:
            if parse_qs(doing.query).get("stream", ["false"])[-1] == "true":
                raise invalid_request(
                    "This response is kept whole and cannot be streamed again.",
                    param="stream",
                    hint="Leave `stream` out.",
                )
            return kept.answer
        case Operation.DELETE_RESPONSE:
            memory.forget(name)
            return msgspec.json.encode({"id": name, "object": "response", "deleted": True})
        case Operation.CANCEL_RESPONSE:
            raise invalid_request(
                f"The response {name[:_LONGEST_NAME]!r} was not made in the background and is complete.",
                hint="Only responses that were asked for with `background: true` can be cancelled.",
            )
        case _:
            before = memory.history(kept.previous) if kept.previous is not None else None
            return _page(name, [*map(bytes, before or ()), *kept.input], doing.query)


def _page(name: str, items: list[bytes], query: str) -> bytes:
    """A page of what a response was asked with: the conversation before it and the items of its own call."""
    said = parse_qs(query)
    listed = [_named(item, f"{name}_{place}") for place, item in enumerate(items)]
    if said.get("order", ["desc"])[-1] != "asc":
        listed.reverse()
    after = said.get("after", [""])[-1]
    ids = [item["id"] for item in listed]
    if after:
        if after not in ids:
            raise not_found(after, "after")
        listed = listed[ids.index(after) + 1 :]
    limit = _limit(said.get("limit", [str(_USUAL_PAGE)])[-1])
    page = listed[:limit]
    return encode_loosely(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(listed) > limit,
        }
    )


def _named(item: bytes, otherwise: str) -> dict[str, Any]:
    """The item with an id, as all items of lists have one, and a message with its type and its parts."""
    value = decode_loosely(item)
    if not isinstance(value, dict):
        value = {"type": "message", "role": "user", "content": str(value)}
    kind = value.get("type") or "message"
    if kind == "message" and isinstance(value.get("content"), str):
        text = "output_text" if value.get("role") == "assistant" else "input_text"
        value = {**value, "content": [{"type": text, "text": value["content"]}]}
    return {"type": kind, "status": "completed", **value, "id": value.get("id") or f"item_{otherwise}"}


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _LARGEST_PAGE:
        return int(text)
    raise invalid_request(
        f"`limit` must be a number from 1 to {_LARGEST_PAGE}.", param="limit", hint="Send another `limit`."
    )


def foreign_provider(snapshot: Snapshot, dialect: str, may_use: Callable[[str], bool]) -> str | None:
    """The one provider that may be asked about what the house does not know, if this caller may use it at all."""
    able = {name for name, up in snapshot.providers.items() if up.foreign_ids and dialect in up.dialects}
    if len({name.partition("#")[0] for name in able}) != 1:
        return None
    for route in snapshot.routes.values():
        if may_use(route.name):
            for deployment in route.deployments:
                if deployment.provider in able:
                    return deployment.provider
    return None
