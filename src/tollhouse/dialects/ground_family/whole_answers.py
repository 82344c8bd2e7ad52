"""Whole answers behind a status of success: decoded, or looked at no closer than it takes to judge them.

All functions raise GatewayError where what came is no answer.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from tollhouse.wire.json_scan import JsonFault, check_utf8

from .loose_json import DECODE_FAULTS, decode_loosely, no_constant
from .refusals import in_band_error, not_an_answer
from .words import outline

_ShapeT = TypeVar("_ShapeT", bound=msgspec.Struct)


def json_of_answer(body: bytes) -> Any:
    """Any JSON value."""
    try:
        return decode_loosely(body)
    except DECODE_FAULTS:
        raise not_an_answer(f"answered 200 with {outline(body)} instead of JSON") from None


def object_of_answer(body: bytes) -> dict[str, Any]:
    """An object, whatever it says."""
    answer = json_of_answer(body)
    if not isinstance(answer, dict):
        raise not_an_answer("answered with JSON that is no object")
    return answer


def sound_answer(body: bytes) -> dict[str, Any]:
    """An object that does not say `error`."""
    answer = object_of_answer(body)
    if answer.get("error"):
        raise in_band_error(answer["error"])
    return answer


def shaped_answer(body: bytes, shape: type[_ShapeT]) -> _ShapeT:
    """The members `shape` names; the others are skipped at C speed."""
    try:
        check_utf8(body)
        return _shaped(body, shape)
    except msgspec.ValidationError as error:
        raise not_an_answer(f"answered with JSON of another shape ({error})") from None
    except (JsonFault, *DECODE_FAULTS):
        raise not_an_answer(f"answered 200 with {outline(body)} instead of JSON") from None


def _shaped(body: bytes, shape: type[_ShapeT]) -> _ShapeT:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Half a surrogate pair, perhaps: msgspec does not read it, the standard library does.
        return msgspec.convert(json.loads(body.decode("utf-8"), parse_constant=no_constant), type=shape)
