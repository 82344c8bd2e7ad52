"""Browser tokens are made here: what a back end asks for, held against what its own key may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tollhouse.core.client_token import LONGEST_S, SHORTEST_S, USUAL_S, ClientToken
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.holding import Holding, excess
from tollhouse.core.identity import Principal
from tollhouse.core.ids import time_ordered_id
from tollhouse.core.limits import Budget
from tollhouse.core.origins import LONGEST_ORIGIN, check_origin

_NANO: Final = 1_000_000_000
_MOST_ROUTES: Final = 50
_MOST_ORIGINS: Final = 20
_LONGEST_CONTENT_BYTES: Final = 4_096
"""So that a token fits well into a header."""

Glob = Annotated[str, Meta(pattern=r"^[!-~]{1,200}$")]


class TokenWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/client_tokens`. What is left out is the key's own, or not limited beyond it."""

    routes: Annotated[tuple[Glob, ...], Meta(min_length=1, max_length=_MOST_ROUTES)] | None = None
    origins: Annotated[
        tuple[Annotated[str, Meta(max_length=LONGEST_ORIGIN)], ...], Meta(max_length=_MOST_ORIGINS)
    ] = ()
    expires_s: Annotated[int, Meta(ge=SHORTEST_S, le=LONGEST_S)] | None = None
    max_usd: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    max_calls: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000_000_000)] | None = None
    end_user: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None


class Minted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    object: str = "client_token"
    id: str
    token: str
    expires_at: str
    """In UTC."""
    expires_s: int
    routes: tuple[str, ...]
    origins: tuple[str, ...]
    max_usd: float | None
    max_calls: int | None
    max_tokens: int | None
    end_user: str | None


_DECODER: Final = msgspec.json.Decoder(TokenWish)


def read_wish(body: bytes) -> TokenWish:
    """Raises: GatewayError `invalid_request`."""
    try:
        wish = _DECODER.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise invalid_request(
            f"The body asks for no token that can be made: {str(error)[:300]}.",
            hint='Send JSON such as {"routes": ["gpt-4o"], "origins": ["https://app.example"], "expires_s": 300}.',
        ) from None
    for origin in wish.origins:
        try:
            check_origin(origin)
        except ValueError as error:
            raise invalid_request(
                str(error), param="origins", hint="Write what the browser sends as `Origin`."
            ) from None
    return wish


def token_for(wish: TokenWish, key: Principal, *, now: float, entropy: bytes, era: str) -> ClientToken:
    """The token that a key may have made. `now` is the wall clock's, `entropy` ten random bytes, `era` that of the
    counters. One without a wish for its end ends with the key at the latest.

    Raises: GatewayError `forbidden` where it would be good for more than the key is, `invalid_request`,
    `limits_unavailable`.
    """
    expires_at = now + (wish.expires_s if wish.expires_s is not None else USUAL_S)
    if wish.expires_s is None and key.expires_at is not None:
        expires_at = min(expires_at, key.expires_at)
    token = ClientToken(
        id=time_ordered_id("ct_", now, entropy),
        key_id=key.key_id,
        expires_at=int(expires_at),
        routes=wish.routes if wish.routes is not None else key.routes,
        origins=wish.origins,
        end_user=wish.end_user,
        max_nanousd=round(wish.max_usd * _NANO) if wish.max_usd is not None else None,
        max_calls=wish.max_calls,
        max_tokens=wish.max_tokens,
        counted_in=era if wish.max_calls is not None or wish.max_tokens is not None else None,
    )
    _check_held(token, key)
    if token.is_counted and not era:
        raise GatewayError(
            ErrorKind.LIMITS_UNAVAILABLE,
            "Calls and tokens cannot be counted just now, and this token would be limited in them.",
            blame=Blame.OPERATOR,
            hint="Try again shortly, or leave `max_calls` and `max_tokens` away.",
            retry_after_s=2.0,
        )
    if len(msgspec.msgpack.encode(token)) > _LONGEST_CONTENT_BYTES:
        raise invalid_request(
            "The token would be too long for a header.", hint="Name fewer routes and origins, or globs."
        )
    return token


def _check_held(token: ClientToken, key: Principal) -> None:
    wanted = Holding(
        routes=token.routes,
        budget=Budget(nanousd=token.max_nanousd) if token.max_nanousd is not None else None,
        expires_at=token.expires_at,
    )
    beyond = list(excess(wanted, Holding(routes=key.routes, budget=key.budget, expires_at=key.expires_at)))
    if token.routes is not key.routes:  # what nobody named is the key's, whose team bounds it when it is used
        wanted = Holding(routes=token.routes)
        beyond += [field for most in key.routes_at_most for field in excess(wanted, Holding(routes=most))]
    if not beyond:
        return
    fields = {"budget": "max_usd", "expires_at": "expires_s"}
    named = list(dict.fromkeys([fields.get(name, name) for name in beyond]))
    raise GatewayError(
        ErrorKind.FORBIDDEN,
        f"A token cannot be good for more than the key it is made with: {', '.join(named)}.",
        blame=Blame.CLIENT,
        param=named[0],
        hint="Ask for less; `GET /v1/key` says what the key may use.",
    )


def minted(token: ClientToken, text: str, now: float) -> bytes:
    """The answer, in JSON."""
    expires_at = datetime.fromtimestamp(token.expires_at, UTC).isoformat(timespec="seconds")
    return msgspec.json.encode(
        Minted(
            id=token.id,
            token=text,
            expires_at=expires_at.replace("+00:00", "Z"),
            expires_s=max(0, int(token.expires_at - now)),
            routes=token.routes,
            origins=token.origins,
            max_usd=token.max_nanousd / _NANO if token.max_nanousd is not None else None,
            max_calls=token.max_calls,
            max_tokens=token.max_tokens,
            end_user=token.end_user,
        )
    )
