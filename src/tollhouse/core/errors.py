"""Every way a call can fail, as one kind, one status and one sentence for the person who reads it.

A `GatewayError` is the only exception the rooms of the house raise on purpose. It says what happened, whose fault it
is and what to do; the dialect of the caller turns it into bytes, the book keeps its kind.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, assert_never

from .limits import Counter, Left


class ErrorKind(StrEnum):
    """The stable codes of the public contract. A code, once published, never changes its meaning."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    KEY_EXPIRED = "key_expired"
    FORBIDDEN = "forbidden"
    ROUTE_NOT_FOUND = "route_not_found"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    CONTENT_BLOCKED = "content_blocked"
    MODEL_PRICE_UNKNOWN = "model_price_unknown"
    RATE_LIMITED = "rate_limited"
    BUDGET_EXCEEDED = "budget_exceeded"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    IDEMPOTENCY_ANSWER_GONE = "idempotency_answer_gone"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_INVALID_RESPONSE = "upstream_invalid_response"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_TLS = "timeout_tls"
    TIMEOUT_FIRST_HEADER = "timeout_first_header"
    TIMEOUT_FIRST_TOKEN = "timeout_first_token"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    AUTH_UNAVAILABLE = "auth_unavailable"
    LIMITS_UNAVAILABLE = "limits_unavailable"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"

    @property
    def is_timeout(self) -> bool:
        """Whether one of the clocks ran out."""
        return self.value.startswith("timeout_")


class Blame(StrEnum):
    """Whose fault it is: decides who has to act, not who is told."""

    CLIENT = "client"
    GATEWAY = "gateway"
    UPSTREAM = "upstream"
    OPERATOR = "operator"


def status_of(kind: ErrorKind) -> int:  # noqa: C901, PLR0911 - one line a group is the table
    """The HTTP status of a kind. Exhaustive: a new kind without a status does not type-check."""
    match kind:
        case (
            ErrorKind.INVALID_REQUEST
            | ErrorKind.UNSUPPORTED_PARAMETER
            | ErrorKind.CONTEXT_LENGTH_EXCEEDED
            | ErrorKind.CONTENT_BLOCKED
            | ErrorKind.MODEL_PRICE_UNKNOWN
        ):
            return 400
        case ErrorKind.UNAUTHENTICATED | ErrorKind.KEY_EXPIRED:
            return 401
        case ErrorKind.FORBIDDEN:
            return 403
        case ErrorKind.ROUTE_NOT_FOUND:
            return 404
        case ErrorKind.IDEMPOTENCY_ANSWER_GONE:
            return 409
        case ErrorKind.IDEMPOTENCY_MISMATCH:
            return 422
        case ErrorKind.UPSTREAM_RATE_LIMITED | ErrorKind.RATE_LIMITED | ErrorKind.BUDGET_EXCEEDED:
            return 429
        case ErrorKind.INTERNAL:
            return 500
        case ErrorKind.UPSTREAM_UNAVAILABLE | ErrorKind.UPSTREAM_INVALID_RESPONSE:
            return 502
        case ErrorKind.AUTH_UNAVAILABLE | ErrorKind.LIMITS_UNAVAILABLE | ErrorKind.OVERLOADED:
            return 503
        case (
            ErrorKind.TIMEOUT_CONNECT
            | ErrorKind.TIMEOUT_TLS
            | ErrorKind.TIMEOUT_FIRST_HEADER
            | ErrorKind.TIMEOUT_FIRST_TOKEN
            | ErrorKind.TIMEOUT_IDLE
            | ErrorKind.TIMEOUT_TOTAL
        ):
            return 504
        case _:  # pragma: no cover - the type checker proves it unreachable
            assert_never(kind)


class UpstreamFault:
    """What the provider itself said when it refused: kept so that callers and the book see the original.

    `error` is the provider's own error object where it sent one in the caller's dialect, else None.
    """

    __slots__ = ("error", "retry_after", "status")

    def __init__(
        self, *, status: int, error: dict[str, object] | None = None, retry_after: str | None = None
    ) -> None:
        self.status = status
        self.error = error
        self.retry_after = retry_after


class GatewayError(Exception):
    """A call that ends in an error.

    `message` says what happened, `hint` what to do about it, `param` which field of the request it is about (or None).
    `status` is the HTTP status: that of the kind, unless it is given, or an upstream 4xx keeps its own. `short_of` is
    the limit that has too little left.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        blame: Blame,
        hint: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
        upstream: UpstreamFault | None = None,
        status: int | None = None,
        short_of: tuple[Counter, Left] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.blame = blame
        self.hint = hint
        self.param = param
        self.retry_after_s = retry_after_s
        self.upstream = upstream
        self.short_of = short_of
        self._status = status

    @property
    def status(self) -> int:
        if self._status is not None:
            return self._status
        if self.upstream is not None and 400 <= self.upstream.status < 500:
            return self.upstream.status
        return status_of(self.kind)

    @property
    def source(self) -> str:
        """`upstream` where the provider (or the way to it) failed, else `gateway`: the contract's two sources."""
        return "upstream" if self.blame is Blame.UPSTREAM or self.upstream is not None else "gateway"

    @property
    def is_retried_in_vain(self) -> bool:
        """True where the same request would fail the same way, so that SDKs are told not to try again."""
        if self.kind in (ErrorKind.IDEMPOTENCY_ANSWER_GONE, ErrorKind.BUDGET_EXCEEDED):
            return True
        return self.status < 500 and self.status not in (408, 409, 429)


def invalid_request(message: str, *, param: str | None = None, hint: str = "") -> GatewayError:
    """The caller sent something we will not pass on."""
    return GatewayError(ErrorKind.INVALID_REQUEST, message, blame=Blame.CLIENT, param=param, hint=hint)


DOCS: Final = "docs/reference/errors.md"

_TYPES: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    408: "api_error",
    409: "api_error",
    429: "rate_limit_error",
}
"""Where the status has a word of its own; other 4xx are `invalid_request_error`."""
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*")
_FOREIGN_TYPES: Final = frozenset(
    ["error", "overloaded_error", "request_too_large", "billing_error", "timeout_error", "conflict_error"]
)
"""Anthropic's words that OpenAI has not. AWS's exceptions and Google's statuses are told by how they are written."""


def error_document(error: GatewayError, request_id: str) -> dict[str, dict[str, object]]:
    """The error in the house's own envelope, which is OpenAI's with a few fields more.

    Where the upstream refused, its own wording, type and parameter are kept, the type unless it is a word of another
    API's; `code` is always ours.
    """
    theirs = (error.upstream.error if error.upstream is not None else None) or {}
    document: dict[str, object] = {
        "type": _type_of(theirs.get("type"), error),
        "code": error.kind.value,
        "message": error.message,
        "param": error.param if error.param is not None else theirs.get("param"),
        "request_id": request_id,
        "source": error.source,
        "hint": error.hint,
        "docs": f"{DOCS}#{error.kind.value}",
    }
    if theirs.get("code") is not None:
        document["upstream_code"] = theirs["code"]
    return {"error": document}


def _type_of(theirs: object, error: GatewayError) -> str:
    if isinstance(theirs, str) and _TYPE.fullmatch(theirs) and theirs not in _FOREIGN_TYPES:
        return theirs
    is_refusal = error.status < 500 and error.kind is not ErrorKind.UPSTREAM_UNAVAILABLE
    return _TYPES.get(error.status, "invalid_request_error" if is_refusal else "api_error")
