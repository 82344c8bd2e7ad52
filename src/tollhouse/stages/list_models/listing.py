"""The list of models, or one of them."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import unquote

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal

from .book import ModelBook
from .description import Description
from .shapes import SHAPES

_ONE: Final = "/models/"
_AT_ONCE: Final = 10
"""So many are described before others get their turn: the first time it takes about half a millisecond each."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants to know."""

    path: str
    """As sent, still percent-encoded."""
    query: str
    dialect: str
    """The wire API whose shape is wanted."""


async def list_models(book: ModelBook, principal: Principal, ask: Ask) -> bytes:
    """The routes this key may use, or the one that the path names.

    Routes that end in a star have no end to list, but what a star matches is told when it is named.

    Raises: GatewayError `route_not_found`, alike for what does not exist and what the key may not use;
    `invalid_request` for pages there cannot be.
    """
    shape = SHAPES[ask.dialect]
    _, is_one, wanted = ask.path.partition(_ONE)
    if is_one:
        return msgspec.json.encode(shape.one(_find(book, principal, unquote(wanted))))
    names = [name for name in book.names if principal.may_use(name)]
    shown = shape.page(names, ask.query)
    page = []
    for position, name in enumerate(shown):
        model = book.find(name)
        if model is not None:
            page.append(shape.one(model))
        if position % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
    return msgspec.json.encode(shape.many(page, names, shown))


def _find(book: ModelBook, principal: Principal, name: str) -> Description:
    found = book.find(name) if principal.may_use(name) else None
    if found is None:
        raise GatewayError(
            ErrorKind.ROUTE_NOT_FOUND,
            f"There is no model {name[:200]!r} for this key.",
            blame=Blame.CLIENT,
            hint="GET /v1/models lists what this key may use.",
        )
    return found
