"""Cross-origin calls: what browsers ask for before they let a page of another origin call, and what lets it read.

The configuration's list alone decides both, for the doors to models and for no others: before a call a browser tells
neither key nor token. What a call may do is decided by its browser token, when it comes. Errors can be read like
answers. Credentials of the browser's own, such as cookies, are never allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tollhouse.config.browsers import Cors
from tollhouse.core.client_token import MODEL_OPERATIONS
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.pipeline import Door
from tollhouse.ports.reply import HeaderList

_EXPOSED: Final = (
    b"x-request-id, request-id, retry-after, x-should-retry, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
    b"x-tollhouse-route, x-tollhouse-cost-usd, x-tollhouse-dropped, x-tollhouse-overhead-ms"
)
"""Headers of answers that a page may read besides those that any page may."""
_LONGEST_NAMES_BYTES: Final = 2_000
_NAMES: Final = re.compile(rb"[A-Za-z0-9_-]+(?:[ \t]*,[ \t]*[A-Za-z0-9_-]+)*")
_ORIGIN: Final = b"origin"
_METHOD: Final = b"access-control-request-method"
_WANTED: Final = b"access-control-request-headers"
_VARY: Final = (b"vary", b"origin")
_VARY_PREFLIGHT: Final = (b"vary", b"origin, access-control-request-method, access-control-request-headers")


class CrossOrigin:
    """By one configuration."""

    __slots__ = ("_max_age", "_origins")

    def __init__(self, cors: Cors) -> None:
        self._origins = frozenset([origin.encode("ascii") for origin in cors.origins])
        self._max_age = b"%d" % cors.max_age_s

    def headers(self, door: Door, request_headers: Mapping[bytes, bytes]) -> HeaderList:
        """What an answer at a door says to browsers, be it an error."""
        if not self._origins or door.operation not in MODEL_OPERATIONS:
            return []
        origin = request_headers.get(_ORIGIN)
        if origin not in self._origins:
            return [_VARY]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            _VARY,
        ]

    def preflight(self, door: Door, request_headers: Mapping[bytes, bytes]) -> HeaderList:
        """What a browser that asks is told: the page may call this door, with these headers.

        Raises: GatewayError `forbidden` where it may not.
        """
        origin, method = request_headers[_ORIGIN], request_headers[_METHOD]
        if door.operation not in MODEL_OPERATIONS:
            raise _refused("No page may call this path: it is not a model's.")
        if origin not in self._origins:
            raise _refused(f"Pages of {origin[:200].decode('latin-1')!r} may not call models here.")
        headers = [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", method),
            (b"access-control-max-age", self._max_age),
            _VARY_PREFLIGHT,
        ]
        # Which headers a page sends decides nothing here: what goes upstream is an allow-list of the house's own.
        wanted = request_headers.get(_WANTED, b"")
        if len(wanted) <= _LONGEST_NAMES_BYTES and _NAMES.fullmatch(wanted):
            headers.append((b"access-control-allow-headers", wanted))
        return headers


def preflight_method(method: str, request_headers: Mapping[bytes, bytes]) -> str | None:
    """The method that a browser asks about; None where this is no such question."""
    if method != "OPTIONS" or _ORIGIN not in request_headers:
        return None
    wanted = request_headers.get(_METHOD)
    return wanted.decode("latin-1") if wanted else None


def _refused(message: str) -> GatewayError:
    return GatewayError(
        ErrorKind.FORBIDDEN,
        message,
        blame=Blame.CLIENT,
        hint="The operator names the origins of pages that may under `server.cors.origins`.",
    )
