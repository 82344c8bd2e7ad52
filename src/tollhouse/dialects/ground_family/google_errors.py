"""Errors as Google's APIs write them: `{"error": {code, message, status, details}}`.

Source: google.rpc.Status and error_details.proto, https://cloud.google.com/apis/design/errors, read 2026-11-25; what
google-genai 3.6.1 makes of them is in its `errors.py`: the class follows the status, 4xx ClientError, 5xx ServerError.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from tollhouse.core.errors import ErrorKind, GatewayError, error_document

from .loose_json import DECODE_FAULTS, decode_loosely
from .refusals import upstream_error

_STATUS_WORDS: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
    429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_TYPE: Final = "type.googleapis.com/google.rpc."
_DELAY: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_BAD_KEY: Final = frozenset(["API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"])
_OVERFLOW: Final = re.compile(r"input token count|maximum number of tokens|context", re.IGNORECASE)


def google_upstream_error(status: int, body: bytes, retry_after: str | None) -> GatewayError:
    """See ports.dialect.Dialect.upstream_error. The wait Google names in the body counts like the header."""
    details = _details(body)
    if retry_after is None:
        retry_after = next((wait for detail in details if (wait := _wait(detail)) is not None), None)
    if status == 400 and any(detail.get("reason") in _BAD_KEY for detail in details):
        # A wrong API key is told as an invalid argument; it is the house's, not the caller's.
        error = upstream_error(401, body, retry_after)
        if error.upstream is not None:
            error.upstream.status = status
        return error
    return upstream_error(status, body, retry_after)


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
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{error.retry_after_s:g}s"})
    status = error.status
    word = _STATUS_WORDS.get(status, "FAILED_PRECONDITION" if status < 500 else "INTERNAL")
    # `error` first: google-genai finds errors inside a stream by how the chunk begins.
    return msgspec.json.encode(
        {"error": {"code": status, "message": _message(error), "status": word, "details": details}}
    )


def _message(error: GatewayError) -> str:
    if error.kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED and not _OVERFLOW.search(error.message):
        return f"The input token count exceeds the maximum number of tokens allowed. {error.message}"
    return error.message


def _details(body: bytes) -> list[dict[str, Any]]:
    try:
        value = decode_loosely(body)
    except DECODE_FAULTS:
        return []
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _wait(detail: dict[str, Any]) -> str | None:
    delay = detail.get("retryDelay")
    match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
    return match[1] if match is not None else None
