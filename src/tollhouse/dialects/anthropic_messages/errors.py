"""Errors: what Anthropic's mean to the house, and the house's in Anthropic's shape.

Source: https://platform.claude.com/docs/en/api/errors, the SDK's types under `types/shared` and recorded answers; read
2026-11-25.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import ErrorKind, GatewayError, error_document
from tollhouse.dialects.ground_family import refusals
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.overflow import ANTHROPIC, told

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

upstream_error = refusals.upstream_error
in_band_error = refusals.in_band_error


def error_body(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_body. The SDK finds our code as the exception's `error_code`."""
    ours = dict(error_document(error, request_id)["error"])
    inner: dict[str, Any] = {"type": type_of(error), "message": told(error, ANTHROPIC)}
    inner |= {name: value for name, value in ours.items() if name not in inner}
    inner["details"] = {"error_code": error.kind.value}
    return encode_loosely({"type": "error", "error": inner, "request_id": request_id})


def error_frame(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_frame."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"


def type_of(error: GatewayError) -> str:
    """Anthropic's word: the upstream's own if it is one that fits the status, else by status. In a stream it is all
    that tells the kind, and other providers say `invalid_request_error` of a wrong key too."""
    if error.kind is ErrorKind.CONTENT_BLOCKED:
        return "invalid_request_error"
    upstream = error.upstream
    status = error.status
    if upstream is not None and status >= 500 and 500 <= upstream.status < 600:
        status = upstream.status
    theirs = upstream.error.get("type") if upstream is not None and upstream.error is not None else None
    if isinstance(theirs, str) and _STATUS_BY_TYPE.get(theirs) == status:
        return theirs
    is_ours = status < 500 and error.kind is not ErrorKind.UPSTREAM_UNAVAILABLE
    return _TYPE_BY_STATUS.get(status, "invalid_request_error" if is_ours else "api_error")
