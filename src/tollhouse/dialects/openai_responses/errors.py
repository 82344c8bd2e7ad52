"""Errors: what upstreams of this dialect say inside answers, and how its callers are told.

Source: OpenAI's API reference, "Streaming events" (`error`, `response.failed`) and "The response object" (`error`), in
the types of openai-python 3.57.0, read 2026-11-25; recorded streams of OpenAI's end a failed answer by both events.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.openai_errors import openai_error
from tollhouse.dialects.ground_family.refusals import in_band_error

_CALLERS_FAULT: Final = (
    "invalid_",
    "image_",
    "unsupported_image",
    "empty_image",
    "bio_policy",
    "vector_store",
)
"""How the codes of failed responses begin that are about the request: no status comes with them."""
_CODES: Final = {
    ErrorKind.INVALID_REQUEST: "invalid_prompt",
    ErrorKind.UNSUPPORTED_PARAMETER: "invalid_prompt",
    ErrorKind.CONTENT_BLOCKED: "invalid_prompt",
    ErrorKind.CONTEXT_LENGTH_EXCEEDED: "context_length_exceeded",
    ErrorKind.RATE_LIMITED: "rate_limit_exceeded",
    ErrorKind.BUDGET_EXCEEDED: "insufficient_quota",
    ErrorKind.UPSTREAM_RATE_LIMITED: "rate_limit_exceeded",
}
"""What clients of failed responses act on; everything else is a `server_error` to them. The code of the context is in
none of the types, and Codex compacts a conversation by it."""
_THEIR_CODES: Final = frozenset(["insufficient_quota", "usage_not_included", "cyber_policy"])
"""Upstreams' own codes that mean to agents: stop asking."""


def failure(error: object) -> GatewayError:
    """What an error object of a failed response, or the one in an `error` event, means."""
    if not isinstance(error, dict):
        return in_band_error(error)
    code = error.get("code")
    if isinstance(code, str) and code.startswith(_CALLERS_FAULT) and code != "invalid_api_key":
        error = {"status": 400, **error}
    return in_band_error(error)


def failure_of_event(event: object) -> GatewayError:
    """The same for a whole `error` event, whose words stand in it or under `error`."""
    if not isinstance(event, dict):
        return failure(event)
    error = event.get("error")
    if not error:
        error = {name: value for name, value in event.items() if name not in ("type", "sequence_number")}
    return failure(error)


def failure_of_response(response: object) -> GatewayError:
    """The same for a response that has failed or was cancelled."""
    if isinstance(response, dict):
        error = response.get("error")
        if error:
            return failure(error)
        if response.get("status") == "cancelled":
            return in_band_error({"message": "The upstream cancelled the response.", "code": "server_error"})
    return in_band_error({"code": "server_error"})


def error_body(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_body: OpenAI's envelope."""
    return encode_loosely(openai_error(error, request_id))


def error_frame(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_frame: both events OpenAI itself ends a failed stream by.

    SDKs raise at `error`, whose data have a member of that name; Codex passes that over and waits for
    `response.failed`. The numbers and the response's own id are those of the stream that broke and are not known here.
    """
    details = openai_error(error, request_id)["error"]
    told = {
        "type": "error",
        "code": details["code"],
        "message": details["message"],
        "param": details["param"],
        "sequence_number": 0,
        "error": details,
    }
    failed = {
        "type": "response.failed",
        "sequence_number": 1,
        "response": _failed(error, details, request_id),
    }
    return b"".join(
        [
            b"event: " + name + b"\ndata: " + encode_loosely(event) + b"\n\n"
            for name, event in ((b"error", told), (b"response.failed", failed))
        ]
    )


def _failed(error: GatewayError, details: dict[str, object], request_id: str) -> dict[str, object]:
    """A whole response, as far as one can be told of a call that has failed."""
    theirs = details.get("upstream_code")
    code = theirs if theirs in _THEIR_CODES else _CODES.get(error.kind, "server_error")
    more = {name: value for name, value in details.items() if name not in ("code", "message")}
    return {
        "id": f"resp_{request_id}",
        "object": "response",
        "created_at": 0,
        "status": "failed",
        "background": False,
        "error": {
            "code": code,
            "message": details["message"],
            **more,
            "gateway_code": details["code"],
        },
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }
