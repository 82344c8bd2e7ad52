"""Errors in Cohere's envelope: `{"id": …, "message": …}`. Its SDK raises by status and keeps the body."""

from __future__ import annotations

from typing import Any

from tollhouse.core.errors import GatewayError, error_document
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.overflow import COHERE, told


def error_fields(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The error as one flat object, with the house's own fields beside Cohere's."""
    ours = error_document(error, request_id)["error"]
    return {
        "id": request_id,
        "message": recognisable(error),
        **{k: v for k, v in ours.items() if k != "message"},
    }


def error_body(error: GatewayError, request_id: str) -> bytes:
    """See ports.dialect.Dialect.error_body."""
    return encode_loosely(error_fields(error, request_id))


def recognisable(error: GatewayError) -> str:
    """The message; one about too long a context begins with the words by which Cohere's clients know it."""
    return told(error, COHERE)
