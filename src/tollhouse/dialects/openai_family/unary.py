"""Whole answers, judged before their status goes out."""

from __future__ import annotations

from typing import Any

import msgspec

from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.ground_family.whole_answers import shaped_answer
from tollhouse.ports.dialect import Reading

from .choices import choice_error, finish_reason_of
from .usage import usage_of


class _Choice(msgspec.Struct):
    finish_reason: Any = None
    error: Any = None


class _Item(msgspec.Struct):
    """An embedding: skipped at C speed."""


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    data: list[_Item] | None = None
    error: Any = None
    usage: Any = None


def read_choices(body: bytes) -> Reading:
    """The reading of a chat or text completion. Raises: GatewayError when it is none."""
    answer = _answer(body)
    if answer.choices is None:
        raise not_an_answer("answered with a JSON object that has no `choices`")
    for choice in answer.choices:
        error = choice_error(choice.finish_reason, choice.error)
        if error is not None:
            raise error
    return Reading(
        usage=usage_of(answer.usage),
        finish_reason=finish_reason_of(answer.choices[0].finish_reason) if answer.choices else None,
    )


def read_embeddings(body: bytes) -> Reading:
    """The reading of a list of embeddings. Raises: GatewayError when it is none."""
    answer = _answer(body)
    if answer.data is None:
        raise not_an_answer("answered with a JSON object that has no `data`")
    return Reading(usage=usage_of(answer.usage, has_output=False))


def _answer(body: bytes) -> _Answer:
    answer = shaped_answer(body, _Answer)
    if answer.error:
        raise in_band_error(answer.error)
    return answer
