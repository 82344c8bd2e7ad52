"""Errors as OpenAI writes them: `{"error": {message, type, param, code}}`, with the house's fields beside.

Source: https://developers.openai.com/api/docs/guides/error-codes and openai-python 3.57.0, whose class follows the
status; read 2026-11-25.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import GatewayError, error_document

from .overflow import OPENAI, told

_EXTRAS: Final = ("failed_generation", "innererror", "metadata")


def openai_error(error: GatewayError, request_id: str) -> dict[str, dict[str, object]]:
    """The envelope. What else an upstream of this family sent along, and its own SDK's users read, is kept."""
    document = error_document(error, request_id)
    inner = document["error"]
    inner["message"] = told(error, OPENAI)
    theirs = (error.upstream.error if error.upstream is not None else None) or {}
    inner.update({name: theirs[name] for name in _EXTRAS if name in theirs})
    return document
