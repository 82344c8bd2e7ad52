"""Whole answers, judged before their status goes out."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import shaped_answer
from tollhouse.ports.dialect import Reading

from .errors import failure, failure_of_response
from .usage import usage_of

_LONGEST_WORD: Final = 100


class _Item(msgspec.Struct):
    """An output item: skipped at C speed."""


class _Answer(msgspec.Struct):
    output: list[_Item] | None = None
    status: Any = None
    error: Any = None
    incomplete_details: Any = None
    usage: Any = None


def judge(body: bytes) -> Reading:
    """The reading of a response: finished or, in background mode, still queued.

    Raises: GatewayError when it is none.
    """
    answer = shaped_answer(body, _Answer)
    if answer.error:
        raise failure(answer.error)
    if answer.status == "failed":
        raise failure_of_response(None)
    if answer.output is None and not isinstance(answer.status, str):
        raise not_an_answer("answered with a JSON object that has neither `output` nor `status`")
    return Reading(
        usage=usage_of(answer.usage), finish_reason=finish_word(answer.status, answer.incomplete_details)
    )


def finish_word(status: object, incomplete_details: object) -> str | None:
    """The provider's word for how a response ended: its status, and for incomplete ones the reason."""
    word = status
    if status == "incomplete" and isinstance(incomplete_details, dict):
        word = incomplete_details.get("reason") or status
    return word[:_LONGEST_WORD] if isinstance(word, str) and word else None
