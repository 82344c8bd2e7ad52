"""Whole answers of any upstream of the family: decoded, and errors behind a status of 200 found."""

from __future__ import annotations

from typing import Any

from tollhouse.dialects.ground_family.refusals import in_band_error
from tollhouse.dialects.ground_family.whole_answers import sound_answer


def answer_of(body: bytes) -> dict[str, Any]:
    """The answer's object. Raises: GatewayError where it is none, or an error (`message` a text, or `error`)."""
    answer = sound_answer(body)
    if isinstance(answer.get("message"), str):
        raise in_band_error(answer)
    return answer
