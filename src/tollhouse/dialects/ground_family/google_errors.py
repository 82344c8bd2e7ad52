"""Errors as Google's APIs write them: `{"error": {code, message, status, details}}`.

Source: google.rpc.Status and error_details.proto, https://cloud.google.com/apis/design/errors, read 2026-11-25; what
google-genai 3.6.1 makes of them is in its `errors.py`: the class follows the status, 4xx ClientError, 5xx ServerError.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import ErrorKind, GatewayError, error_document

from .loose_json import encode_loosely
from .overflow import GOOGLE, told
from .refusals import upstream_error

_STATUS_WORDS: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED", 409: "ABORTED", 413: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_TYPE: Final = "type.googleapis.com/google.rpc."
_HOUSE_REFUSED: Final = frozenset([400, 402, 412])
"""Statuses by which a provider refuses the house itself; the caller's argument was not invalid."""
_KNOWN: Final = frozenset(
    [*_STATUS_WORDS.values(), "FAILED_PRECONDITION", "OUT_OF_RANGE", "DATA_LOSS", "UNKNOWN"]
)

google_upstream_error = upstream_error
"""Google's details, the wait and the reason among them, are read where everybody's words are."""


def google_error_body(error: GatewayError, request_id: str) -> bytes:
    """The error in Google's envelope, with the house's fields in an `ErrorInfo` among the details."""
    ours = error_document(error, request_id)["error"]
    details: list[dict[str, Any]] = [
        {
            "@type": _TYPE + "ErrorInfo",
            "reason": error.kind.value.upper(),
            "domain": "tollhouse",
            "metadata": {
                name: str(value) for name, value in ours.items() if value is not None and name != "message"
            },
        }
    ]
    if error.retry_after_s is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": _duration(error.retry_after_s)})
    # `error` first: google-genai finds errors inside a stream by how the chunk begins.
    message = told(error, GOOGLE)
    return encode_loosely(
        {"error": {"code": error.status, "message": message, "status": _word(error), "details": details}}
    )


def _word(error: GatewayError) -> str:
    """The status word: the upstream's own if it is one of Google's, else by status."""
    theirs = error.upstream.error.get("type") if error.upstream is not None and error.upstream.error else None
    if isinstance(theirs, str) and theirs in _KNOWN:
        return theirs
    if error.kind is ErrorKind.UPSTREAM_UNAVAILABLE and error.status in _HOUSE_REFUSED:
        return "FAILED_PRECONDITION"
    if error.kind is ErrorKind.UPSTREAM_UNAVAILABLE:
        return _STATUS_WORDS.get(error.status, "UNAVAILABLE")
    return _STATUS_WORDS.get(error.status, "FAILED_PRECONDITION" if error.status < 500 else "INTERNAL")


def _duration(seconds: float) -> str:
    """As protobuf writes it: never with an exponent."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
