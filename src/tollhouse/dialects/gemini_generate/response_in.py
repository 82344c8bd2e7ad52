"""Whole answers of Gemini: a stream of one chunk."""

from __future__ import annotations

from typing import Any

from tollhouse.core.fold import fold
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.ground_family.whole_answers import json_of_answer

from .course import Course

_MARKS = ("candidates", "promptFeedback", "usageMetadata")


def answer_of(body: bytes) -> dict[str, Any]:
    """The answer's object. Raises: GatewayError where it is an error or no answer."""
    answer = json_of_answer(body)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, dict):
        raise not_an_answer("answered with JSON that is no object")
    if answer.get("error"):
        raise in_band_error(answer["error"])
    return answer


def read_response(body: bytes) -> ModelResponse:
    """See ports.translation.ChatFaces.read_response."""
    return fold(_course(body).taken())


def _course(body: bytes) -> Course:
    answer = answer_of(body)
    if not any(answer.get(name) for name in _MARKS):
        raise not_an_answer("answered with a JSON object that has no `candidates`")
    course = Course()
    course.add(answer)
    course.end(is_stream=False)
    return course


def judged(body: bytes) -> Course:
    """The same answer, for those who want to know its reading only. Raises: GatewayError."""
    return _course(body)
