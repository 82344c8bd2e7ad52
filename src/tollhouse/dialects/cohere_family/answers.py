"""Whole answers of any upstream of the family: decoded, and errors behind a status of 200 found."""

from __future__ import annotations

from typing import Any

from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.ground_family.words import outline


def answer_of(body: bytes) -> dict[str, Any]:
    """The answer's object. Raises: GatewayError where it is none, or an error (`message` a text, or `error`)."""
    try:
        answer = decode_loosely(body)
    except DECODE_FAULTS:
        raise not_an_answer(f"answered 200 with {outline(body)} instead of JSON") from None
    if not isinstance(answer, dict):
        raise not_an_answer("answered with JSON that is no object")
    if answer.get("error"):
        raise in_band_error(answer["error"])
    if isinstance(answer.get("message"), str):
        raise in_band_error(answer)
    return answer
