"""Reranking: documents in the order of their bearing on a query, whatever the wire API it is asked in."""

from __future__ import annotations

from typing import Any

import msgspec

from .usage import Usage


class RerankRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be ranked."""

    model: str
    query: str
    documents: tuple[Any, ...]
    """Texts, or objects as the dialect takes them."""
    top_n: int | None = None
    returns_documents: bool = False


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One document's place."""

    index: int
    """In the request's list."""
    score: float


class RerankResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Best first."""

    id: str
    model: str
    results: tuple[Ranked, ...]
    usage: Usage | None = None
    searches: int | None = None
    """What the provider charges by."""
