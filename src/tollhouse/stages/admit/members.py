"""Members of a call's top level, looked at where they stand."""

from __future__ import annotations

from typing import Any

from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.ports.dialect import ClientCall


def has_member(call: ClientCall, name: str) -> bool:
    """Whether a member says something."""
    span = call.spans.get(name)
    return span is not None and call.body[span[0]] != ord("n")


def value_of(call: ClientCall, name: str) -> Any:
    """None where it is absent."""
    span = call.spans.get(name)
    if span is None:
        return None
    try:
        return decode_loosely(call.body[slice(*span)])
    except DECODE_FAULTS:
        return ...  # what cannot be read is something else than what is harmless


def text_of(call: ClientCall, name: str) -> bytes:
    """Its JSON; nothing where it is absent."""
    span = call.spans.get(name)
    return call.body[slice(*span)] if span is not None else b""
