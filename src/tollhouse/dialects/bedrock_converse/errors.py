"""Bedrock's exceptions: what they mean, and ours in their shape.

Names and statuses are those of the service model 2023-09-30 of botocore 1.44.8, read 2026-11-25. botocore takes an
exception's name from the header `x-amzn-errortype`, else from a member `code`, else from `__type`; so our own code
stands inside `error` and not beside the message.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.errors import ErrorKind, GatewayError, error_document
from tollhouse.dialects.ground_family import refusals
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.dialects.ground_family.overflow import BEDROCK, told
from tollhouse.wire.aws_eventstream import encode

_STATUSES: Final = {
    "validationexception": 400,
    "servicequotaexceededexception": 400,
    "accessdeniedexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "modelerrorexception": 424,
    "modelstreamerrorexception": 424,
    "throttlingexception": 429,
    "modelnotreadyexception": 429,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
}
_NAMES: Final = {
    ErrorKind.INVALID_REQUEST: "ValidationException",
    ErrorKind.UNSUPPORTED_PARAMETER: "ValidationException",
    ErrorKind.CONTEXT_LENGTH_EXCEEDED: "ValidationException",
    ErrorKind.CONTENT_BLOCKED: "ValidationException",
    ErrorKind.IDEMPOTENCY_MISMATCH: "ValidationException",
    ErrorKind.IDEMPOTENCY_ANSWER_GONE: "ValidationException",
    ErrorKind.UNAUTHENTICATED: "AccessDeniedException",
    ErrorKind.KEY_EXPIRED: "AccessDeniedException",
    ErrorKind.FORBIDDEN: "AccessDeniedException",
    ErrorKind.ROUTE_NOT_FOUND: "ResourceNotFoundException",
    ErrorKind.MODEL_PRICE_UNKNOWN: "ValidationException",
    ErrorKind.RATE_LIMITED: "ThrottlingException",
    ErrorKind.BUDGET_EXCEEDED: "ServiceQuotaExceededException",
    ErrorKind.UPSTREAM_RATE_LIMITED: "ThrottlingException",
    ErrorKind.UPSTREAM_INVALID_RESPONSE: "ModelErrorException",
    ErrorKind.INTERNAL: "InternalServerException",
}
"""The rest: timeouts are ModelTimeoutException, all others ServiceUnavailableException."""
_STREAM_NAMES: Final = frozenset(
    [
        "InternalServerException", "ModelStreamErrorException", "ServiceUnavailableException",
        "ThrottlingException", "ValidationException",
    ]
)  # fmt: skip
"""What a stream of Converse may end with."""
_STREAM_NAME_OF: Final = {
    "AccessDeniedException": "ValidationException",
    "ResourceNotFoundException": "ValidationException",
    "ServiceQuotaExceededException": "ThrottlingException",
    "ModelNotReadyException": "ThrottlingException",
    "ModelErrorException": "ModelStreamErrorException",
    "ModelTimeoutException": "ModelStreamErrorException",
}


# -- of the upstream


def upstream_error(status: int, body: bytes, retry_after: str | None) -> GatewayError:
    """See ports.dialect.Dialect.upstream_error."""
    try:
        said = decode_loosely(body)
    except DECODE_FAULTS:
        said = None
    if not isinstance(said, dict) or not isinstance(_message(said), str):
        return refusals.upstream_error(status, body, retry_after)
    return _error(status, _name(said.get("__type")), _message(said), retry_after)


def exception(name: str, said: object) -> GatewayError:
    """An exception in the middle of a stream, or in the place of an answer, treated as the status it stands for."""
    message = _message(said) if isinstance(said, dict) else said
    status = _STATUSES.get(name.lower(), 200)
    words = (
        message if isinstance(message, str) and message else f"The upstream reported {name or 'an error'}."
    )
    return _error(status, name, words, None)


def misplaced_error(body: bytes) -> GatewayError | None:
    """The error that stands where an answer was due; None where it is none."""
    try:
        said = decode_loosely(body)
    except DECODE_FAULTS:
        return None
    if not isinstance(said, dict):
        return None
    for thing in (said, said.get("Output"), said.get("error")):
        if isinstance(thing, dict) and (_message(thing) or thing.get("__type")):
            return exception(_name(thing.get("__type")) or "", thing)
    return None


def _error(status: int, name: str | None, message: Any, retry_after: str | None) -> GatewayError:
    code = None
    if (name or "").lower() == "servicequotaexceededexception":
        status, code = 429, "insufficient_quota"
    if status == 424:
        status = 500  # the model failed, not what it depends on for us: others may succeed
    body = msgspec.json.encode({"message": _encodable(message), "type": name, "code": code})
    return refusals.upstream_error(status, body, retry_after)


def _message(said: dict[str, Any]) -> Any:
    """Bedrock writes `message`, what stands before it `Message`."""
    return said.get("message") or said.get("Message")


def _name(type_text: object) -> str | None:
    """The bare name of `com.amazon.coral.service#UnknownOperationException` or `ValidationException:http://…`."""
    if not isinstance(type_text, str):
        return None
    return type_text.rpartition("#")[2].partition(":")[0] or None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


# -- of the house


def error_body(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_body."""
    document = {"__type": exception_name(error), "message": message_of(error)}
    return msgspec.json.encode({**document, **error_document(error, request_id)})


def error_frame(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_frame: an exception message, which ends the stream."""
    name = exception_name(error)
    if name not in _STREAM_NAMES:
        name = _STREAM_NAME_OF.get(name, "InternalServerException")
    headers = {
        ":exception-type": name[0].lower() + name[1:],
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    payload = {"message": message_of(error), **error_document(error, request_id)}
    return encode(headers, msgspec.json.encode(payload))


def exception_name(error: GatewayError) -> str:
    """The name of the error's class in AWS's SDKs: the upstream's own where it has one."""
    theirs = (error.upstream.error if error.upstream is not None else None) or {}
    kind = theirs.get("type")
    if isinstance(kind, str) and kind.lower() in _STATUSES and error.status != 502:
        return kind[0].upper() + kind[1:]
    if error.kind.is_timeout:
        return "ModelTimeoutException"
    return _NAMES.get(error.kind, "ServiceUnavailableException")


def message_of(error: GatewayError) -> str:
    """The message, with the words agents know an overflow by."""
    return told(error, BEDROCK)
