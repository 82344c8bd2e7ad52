"""Callers' bodies: decoded for translation, and what is wrong with them told in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tollhouse.core.errors import invalid_request
from tollhouse.wire.json_fields import WrongType

from .loose_json import DECODE_FAULTS, decode_loosely


def decoded(body: bytes) -> Any:
    """The caller's JSON. Raises: GatewayError `invalid_request`."""
    try:
        return decode_loosely(body)
    except DECODE_FAULTS as fault:
        raise invalid_request(
            f"The request's body cannot be read: {fault}", hint="Send one JSON object in UTF-8."
        ) from None


@contextmanager
def told_to_callers() -> Iterator[None]:
    """Within it, members of the wrong type are errors of the caller's. Raises: GatewayError `invalid_request`."""
    try:
        yield
    except WrongType as wrong:
        raise invalid_request(
            f"{str(wrong)[:1].upper()}{str(wrong)[1:]}.",
            param=wrong.path or None,
            hint=f"Send `{wrong.path}` as {wrong.wanted}." if wrong.path else "",
        ) from None
    except RecursionError:
        raise invalid_request("The request is nested too deeply.", hint="Nest it less.") from None
