"""Errors: what Anthropic's mean to the house, and the house's in Anthropic's shape.

Source: https://platform.claude.com/docs/en/api/errors, the SDK's types under `types/shared` and recorded answers; read
2026-11-25.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, error_document
from tollhouse.dialects.ground_family import refusals
from tollhouse.dialects.ground_family.words import words_of

from .json_text import encoded

_STATUS_BY_TYPE: Final = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "conflict_error": 409, "request_too_large": 413, "rate_limit_error": 429,
    "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
_TYPE_BY_STATUS: Final = {
    401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
    408: "timeout_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error",
    503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip

_OVERFLOW: Final = re.compile(r"prompt is too long|exceed context limit|context window", re.IGNORECASE)
_UNPAID: Final = re.compile(r"credit balance is too low|API usage limits|spend limit", re.IGNORECASE)
_NO_MODEL: Final = re.compile(r"model identifier is invalid", re.IGNORECASE)
"""Bedrock says with 400 what Anthropic says with 404."""
_RECOGNISED: Final = re.compile(r"prompt is too long|exceed context limit", re.IGNORECASE)
"""What Claude Code and other agents look for before they make the conversation shorter."""


def upstream_error(status: int, body: bytes, retry_after: str | None) -> GatewayError:
    """See ports.dialect.Dialect.upstream_error."""
    return _judged(refusals.upstream_error(status, body, retry_after), status)


def in_band_error(thing: object) -> GatewayError:
    """An error where an answer was due: treated as the status its type names."""
    inner = thing.get("error", thing) if isinstance(thing, dict) else thing
    status = _STATUS_BY_TYPE.get(words_of(inner).type or "")
    if status is not None and isinstance(inner, dict):
        inner = {"status_code": status} | inner
    error = refusals.in_band_error(inner)
    return _judged(error, error.upstream.status if error.upstream is not None else 0)


def _judged(error: GatewayError, status: int) -> GatewayError:
    """The same with what only Anthropic's wording tells."""
    if not 400 <= status < 500:
        return error
    if _UNPAID.search(error.message):
        return _as(
            error,
            ErrorKind.UPSTREAM_UNAVAILABLE,
            Blame.OPERATOR,
            "The house's account at the provider has no credit left; your key is fine. Tell the operator.",
        )
    if status == 400 and _OVERFLOW.search(error.message):
        return _as(
            error,
            ErrorKind.CONTEXT_LENGTH_EXCEEDED,
            Blame.CLIENT,
            "Shorten the input or lower `max_tokens`, or ask for a model with a larger context window.",
        )
    if status == 400 and _NO_MODEL.search(error.message):
        return _as(
            error,
            ErrorKind.ROUTE_NOT_FOUND,
            Blame.OPERATOR,
            "The provider does not know the model: the operator should look at the route's model.",
        )
    return error


def _as(error: GatewayError, kind: ErrorKind, blame: Blame, hint: str) -> GatewayError:
    return GatewayError(
        kind,
        error.message,
        blame=blame,
        hint=hint,
        param=error.param,
        retry_after_s=error.retry_after_s,
        upstream=error.upstream,
    )


def error_body(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_body. The SDK finds our code as the exception's `error_code`."""
    ours = dict(error_document(error, request_id)["error"])
    message = error.message
    if error.kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED and not _RECOGNISED.search(message):
        message = f"prompt is too long: {message}"
    told: dict[str, Any] = {"type": type_of(error), "message": message}
    told |= {name: value for name, value in ours.items() if name not in told}
    told["details"] = {"error_code": error.kind.value}
    return encoded({"type": "error", "error": told, "request_id": request_id})


def error_frame(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_frame."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"


def type_of(error: GatewayError) -> str:
    """Anthropic's word: the upstream's own if it is one, else by status. In a stream it is all that tells the kind."""
    upstream = error.upstream
    theirs = upstream.error.get("type") if upstream is not None and upstream.error is not None else None
    if isinstance(theirs, str) and theirs in _STATUS_BY_TYPE:
        return theirs
    status = error.status
    if (
        upstream is not None
        and error.kind is ErrorKind.UPSTREAM_UNAVAILABLE
        and upstream.status in (503, 529)
    ):
        status = upstream.status
    return _TYPE_BY_STATUS.get(status, "invalid_request_error" if status < 500 else "api_error")
