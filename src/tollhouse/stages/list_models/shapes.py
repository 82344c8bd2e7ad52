"""Models as three APIs write them down.

OpenAI's list has a name and an owner, so other gateways and hosts have added what clients ask for. Theirs are the words
used here: `context_window` and `max_completion_tokens` (Groq), `context_length`, `pricing` in USD a token and
`supported_parameters` (OpenRouter), `max_model_len` (vLLM), `max_input_tokens`, `max_output_tokens` (LiteLLM).

Sources, read 2026-11-25: Anthropic's `GET /v1/models` in the words of its SDK anthropic-python (`ModelInfo`),
Google's `GET /v1beta/models` in those of https://ai.google.dev/api/models.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from tollhouse.core.errors import invalid_request
from tollhouse.core.routing import Price

from .description import Description

_EPOCH: Final = "1970-01-01T00:00:00Z"
"""Anthropic's own word for a day nobody knows."""
_LONGEST_PAGE: Final = 1000


class Shape(Protocol):
    """How one API writes models down."""

    def page(self, names: Sequence[str], query: str) -> Sequence[str]:
        """Those of the names that a request asks for. Raises: GatewayError `invalid_request`."""

    def one(self, model: Description) -> dict[str, Any]: ...

    def many(
        self, page: Sequence[dict[str, Any]], names: Sequence[str], shown: Sequence[str]
    ) -> dict[str, Any]:
        """The list around a page of `names`."""


class OpenAI:
    """`object: model`, in a list without pages."""

    def page(self, names: Sequence[str], query: str) -> Sequence[str]:  # noqa: ARG002 - the interface
        return names

    def one(self, model: Description) -> dict[str, Any]:
        window, limit = model.context_window_tokens, model.max_output_tokens
        can = model.capabilities
        return {
            "id": model.id,
            "object": "model",
            "created": 0,
            "owned_by": "tollhouse",
            "context_window": window,
            "context_length": window,
            "max_model_len": window,
            "max_input_tokens": window,
            "max_output_tokens": limit,
            "max_completion_tokens": limit,
            "pricing": _pricing(model.price),
            "capabilities": {
                "chat": can.chat,
                "tools": can.tools,
                "vision": can.vision,
                "json_schema": can.json_schema.value,
                "json_object": can.json_object.value,
                "thinking": can.thinking,
                "embeddings": can.embeddings,
                "rerank": can.rerank,
            },
            "supported_parameters": list(model.parameters),
            "dialects": dict(model.doors),
        }

    def many(
        self,
        page: Sequence[dict[str, Any]],
        names: Sequence[str],  # noqa: ARG002 - the interface
        shown: Sequence[str],  # noqa: ARG002 - the interface
    ) -> dict[str, Any]:
        return {"object": "list", "data": list(page)}


class Anthropic:
    """`type: model`, in pages between two names."""

    def page(self, names: Sequence[str], query: str) -> Sequence[str]:
        asked = parse_qs(query)
        shown = list(names)
        if "after_id" in asked:
            shown = shown[_place(shown, asked["after_id"][0], "after_id") + 1 :]
        limit = _size(asked, "limit")
        if "before_id" in asked:
            shown = shown[: _place(shown, asked["before_id"][0], "before_id")]
            return shown[-limit:]
        return shown[:limit]

    def one(self, model: Description) -> dict[str, Any]:
        return {
            "type": "model",
            "id": model.id,
            "display_name": model.id,
            "created_at": _EPOCH,
            "lifecycle": "active",
            "deprecated_at": None,
            "retires_at": None,
            "line": None,
            "max_input_tokens": model.context_window_tokens,
            "max_tokens": model.max_output_tokens,
            "capabilities": None,
        }

    def many(
        self, page: Sequence[dict[str, Any]], names: Sequence[str], shown: Sequence[str]
    ) -> dict[str, Any]:
        return {
            "data": list(page),
            "has_more": bool(shown) and shown[-1] != names[-1],
            "first_id": shown[0] if shown else None,
            "last_id": shown[-1] if shown else None,
        }


class Gemini:
    """`models/{name}`, in pages that a token goes on from."""

    def page(self, names: Sequence[str], query: str) -> Sequence[str]:
        asked = parse_qs(query)
        shown = list(names)
        if "pageToken" in asked:
            shown = shown[_place(shown, asked["pageToken"][0], "pageToken") + 1 :]
        return shown[: _size(asked, "pageSize")]

    def one(self, model: Description) -> dict[str, Any]:
        methods = []
        if "gemini_generate" in model.doors:
            methods += ["generateContent", "streamGenerateContent"]
        if "gemini_generate" in model.counts:
            methods.append("countTokens")
        if "gemini_embed" in model.doors:
            methods += ["embedContent", "batchEmbedContents"]
        said: dict[str, Any] = {"name": f"models/{model.id}", "version": "", "displayName": model.id}
        if model.context_window_tokens is not None:
            said["inputTokenLimit"] = model.context_window_tokens
        if model.max_output_tokens is not None:
            said["outputTokenLimit"] = model.max_output_tokens
        return said | {"supportedGenerationMethods": methods, "thinking": model.capabilities.thinking}

    def many(
        self, page: Sequence[dict[str, Any]], names: Sequence[str], shown: Sequence[str]
    ) -> dict[str, Any]:
        more = {"nextPageToken": shown[-1]} if shown and shown[-1] != names[-1] else {}
        return {"models": list(page), **more}


SHAPES: Final[dict[str, Shape]] = {
    "openai_chat": OpenAI(),
    "anthropic_messages": Anthropic(),
    "gemini_generate": Gemini(),
}
"""By the dialect of the door."""


def _place(names: Sequence[str], name: str, param: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise invalid_request(
            f"{param} names no model of this list.",
            param=param,
            hint="Begin again without it: the list may have changed.",
        ) from None


def _size(asked: dict[str, list[str]], param: str) -> int:
    """How many are asked for; as many as there may be where nobody says."""
    if param not in asked:
        return _LONGEST_PAGE
    text = asked[param][0]
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= _LONGEST_PAGE:
        raise invalid_request(f"{param} must be a number from 1 to {_LONGEST_PAGE}.", param=param)
    return int(text)


def _pricing(price: Price | None) -> dict[str, Any] | None:
    """USD a million tokens as numbers, as the configuration has them; USD a token as texts, as OpenRouter has them."""
    if price is None:
        return None
    each = (
        ("input_per_million_usd", "prompt", price.input_per_million_nanousd),
        ("output_per_million_usd", "completion", price.output_per_million_nanousd),
        ("cache_read_per_million_usd", "input_cache_read", price.cache_read_per_million_nanousd),
        ("cache_write_per_million_usd", "input_cache_write", price.cache_write_per_million_nanousd),
    )
    known = [(ours, theirs, nano) for ours, theirs, nano in each if nano is not None]
    return {ours: nano / 1e9 for ours, _, nano in known} | {
        theirs: _per_token(nano) for _, theirs, nano in known
    }


def _per_token(nanousd_per_million: int) -> str:
    text = f"{Decimal(nanousd_per_million).scaleb(-15):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
