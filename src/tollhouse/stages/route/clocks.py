"""The clocks of one call: the route's, moved by the caller within the operator's bounds."""

from __future__ import annotations

from math import isfinite
from typing import Final

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.routing import Route, Timeouts

HEADER: Final = "x-tollhouse-timeout-s"
_NAMES: Final = tuple(name.removesuffix("_s") for name in Timeouts.__struct_fields__)
_SHORTEST_S: Final = 0.001
_LONGEST_HEADER: Final = 200


def moved_clocks(route: Route, header: bytes | None) -> Timeouts:
    """The clocks as `x-tollhouse-timeout-s` asks for them: one number for the whole call, in seconds, or some of them
    by name, such as `total=30, first_token=5`. What goes beyond the route's `longest_timeouts` ends there.

    Raises: GatewayError `invalid_request` for what cannot be read.
    """
    if header is None:
        return route.timeouts
    text = header.decode("latin-1").strip()
    if len(text) > _LONGEST_HEADER:
        raise _unreadable("it is too long")
    moved: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = part.partition("=")
        if not sign:
            name, value = "total", part
        name = name.strip()
        if name not in _NAMES or f"{name}_s" in moved:
            raise _unreadable(f"{name[:40]!r} is not the name of a clock, or stands there twice")
        moved[f"{name}_s"] = min(_seconds(value), getattr(route.longest_timeouts, f"{name}_s"))
    return msgspec.structs.replace(route.timeouts, **moved)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _unreadable(f"{text.strip()[:40]!r} is not a number") from None
    if not isfinite(value) or value < _SHORTEST_S:
        raise _unreadable(f"a clock runs for at least {_SHORTEST_S} seconds")
    return value


def _unreadable(why: str) -> GatewayError:
    return invalid_request(
        f"The header {HEADER} cannot be read: {why}.",
        param=HEADER,
        hint=f"Write seconds for the whole call, or some of {', '.join(_NAMES)}, such as `total=30, first_token=5`.",
    )
