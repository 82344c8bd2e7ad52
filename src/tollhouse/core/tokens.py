"""Tokens that somebody else has signed: how one is taken apart, what it must say, and who it makes its bearer.

Nothing here knows signatures. What a token says before its signature is checked is used for one thing: to find out by
whose keys it would have to be signed. Headers that name keys themselves (`jwk`, `jku`, `x5u`, `x5c`) are never read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

import msgspec

from .identity import Principal
from .limits import Budget, Limits

LONGEST_TOKEN_BYTES: Final = 16_384
_LONGEST_SUBJECT: Final = 255
_MOST_ROUTES: Final = 100
_MOST_TAGS: Final = 10
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_GLOB: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_SEGMENT: Final = re.compile(rb"[A-Za-z0-9_-]+")
_LAST_INSTANT: Final = 253_402_300_800.0
"""The end of the year 9999."""
_TYPES: Final = frozenset(["jwt", "at+jwt"])
"""Media types of what lets somebody in, without `application/`. Others, such as `logout+jwt`, are for other things."""


class TokenRefused(Exception):
    """This is no token, or not one that opens anything; the text is a sentence for whoever sent it."""


class ClaimNames(msgspec.Struct, frozen=True, kw_only=True):
    """Where a token says what: names of claims, or paths to one within others, parted by dots."""

    subject: str = "sub"
    name: str | None = None
    team: str | None = None
    routes: str | None = None
    tags: str | None = None


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose tokens let in, and as whom."""

    name: str
    issuer: str
    """What stands in `iss`, letter by letter."""
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway_s: float = 60.0
    claims: ClaimNames = ClaimNames()
    require: Mapping[str, str] = {}
    """Claims that must have these values."""
    routes: tuple[str, ...] = ()
    team: str | None = None
    tags: tuple[str, ...] = ()
    limits: Limits = Limits()
    """Of each subject."""
    budget: Budget | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was taken apart. Until its signature has been checked nothing in it is anybody's word."""

    algorithm: str
    key_id: str | None
    issuer: str
    claims: Mapping[str, Any]
    signed: bytes
    """What the signature is of."""
    signature: bytes


def looks_like_token(text: bytes) -> bool:
    """Whether a text is meant as one: three parts, of which the first begins a JSON object."""
    return text[:3] == b"eyJ" and text.count(b".") == 2


def read_token(text: bytes) -> Token:
    """The parts of a token in compact form. Raises: TokenRefused for whatever is not read in one way only."""
    if len(text) > LONGEST_TOKEN_BYTES:
        raise TokenRefused(f"The token is longer than {LONGEST_TOKEN_BYTES} bytes.")
    parts = text.split(b".")
    if len(parts) != 3:
        raise TokenRefused("The token does not have three parts: encrypted and nested ones are not taken.")
    header, claims = _object(parts[0], "header"), _object(parts[1], "claims")
    _check_header(header)
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise TokenRefused("The token does not say who has issued it (`iss`).")
    key_id = header.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise TokenRefused("The token's `kid` is not a text.")
    return Token(
        algorithm=header["alg"],
        key_id=key_id,
        issuer=issuer,
        claims=claims,
        signed=parts[0] + b"." + parts[1],
        signature=_bytes(parts[2], "signature"),
    )


def _check_header(header: Mapping[str, Any]) -> None:
    if not isinstance(header.get("alg"), str):
        raise TokenRefused("The token does not say how it is signed (`alg`).")
    for name in ("crit", "b64", "zip", "enc", "cty"):
        if name in header:
            raise TokenRefused(f"The token's header has `{name}`, which is not taken here.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise TokenRefused("The token is of another type (`typ`) than those that let somebody in.")


def _bytes(part: bytes, what: str) -> bytes:
    """Of base64url as it is written in one way only: without padding, and without bits that say nothing."""
    if _SEGMENT.fullmatch(part) is None:
        raise TokenRefused(f"The token's {what} is not base64url.")
    try:
        decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise TokenRefused(f"The token's {what} is not base64url.") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part:
        raise TokenRefused(f"The token's {what} is not base64url.")
    return decoded


def _object(part: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(
            _bytes(part, what).decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise TokenRefused(f"The token's {what} cannot be read as JSON in one way only.") from None
    if not isinstance(document, dict):
        raise TokenRefused(f"The token's {what} is not a JSON object.")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands there twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


# -- what a signed token says


def check_claims(
    claims: Mapping[str, Any], issuer: str, audiences: tuple[str, ...], now: float, leeway_s: float
) -> float:
    """Whether it is meant for us, and now; returns when it expires, in seconds since the epoch.

    Raises: TokenRefused.
    """
    if claims.get("iss") != issuer:
        raise TokenRefused("The token is from another issuer.")
    meant = claims.get("aud")
    named = [meant] if isinstance(meant, str) else meant
    if not isinstance(named, list) or not any(one in audiences for one in named if isinstance(one, str)):
        raise TokenRefused("The token is meant for somebody else (`aud`).")
    expires_at = _instant(claims, "exp")
    if expires_at is None:
        raise TokenRefused("The token never expires (`exp` is missing): such tokens are not taken.")
    if now >= expires_at + leeway_s:
        raise TokenRefused("The token has expired.")
    for name, about in (("nbf", "does not hold yet"), ("iat", "was issued in the future")):
        instant = _instant(claims, name)
        if instant is not None and instant > now + leeway_s:
            raise TokenRefused(f"The token {about} (`{name}`).")
    return expires_at


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"The token's `{name}` is no point in time.")
    if not 0 <= value < _LAST_INSTANT or not isfinite(value):
        raise TokenRefused(f"The token's `{name}` is no point in time.")
    return float(value)


def principal_of(issuer: Issuer, claims: Mapping[str, Any], expires_at: float) -> Principal:
    """Who the bearer is. `claims` have been checked. Raises: TokenRefused."""
    names = issuer.claims
    for name, wanted in issuer.require.items():
        if claim_at(claims, name) != wanted:
            raise TokenRefused(f"The token's `{name}` is not the one that is asked for here.")
    subject = _text(claims, names.subject)
    if subject is None:
        raise TokenRefused(f"The token does not say whose it is (`{names.subject}`).")
    team = _text(claims, names.team, _NAME) if names.team is not None else None
    routes = _texts(claims, names.routes, _GLOB, _MOST_ROUTES) if names.routes is not None else None
    tags = _texts(claims, names.tags, _NAME, _MOST_TAGS) if names.tags is not None else None
    shown = _text(claims, names.name) if names.name is not None else None
    return Principal(
        key_id=f"jwt:{issuer.name}:{subject}",
        key_name=shown or subject,
        team=team if team is not None else issuer.team,
        routes=routes if routes is not None else issuer.routes,
        tags=tuple(dict.fromkeys([*issuer.tags, *(tags or ())])),
        limits=issuer.limits,
        budget=issuer.budget,
        expires_at=expires_at,
    )


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its whole name, or else by the path of names that the dots part; None where there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def _text(claims: Mapping[str, Any], path: str, shape: re.Pattern[str] | None = None) -> str | None:
    value = claim_at(claims, path)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SUBJECT or not value.isprintable():
        raise TokenRefused(f"The token's `{path}` is not a text of 1 to {_LONGEST_SUBJECT} visible letters.")
    if shape is not None and shape.fullmatch(value) is None:
        raise TokenRefused(f"The token's `{path}` is not a name that can be used here.")
    return value


def _texts(claims: Mapping[str, Any], path: str, shape: re.Pattern[str], most: int) -> tuple[str, ...] | None:
    """A list of texts, or one text of several words, as scopes are written."""
    value = claim_at(claims, path)
    if value is None:
        return None
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > most:
        raise TokenRefused(f"The token's `{path}` is not a list of at most {most} texts.")
    for word in words:
        if not isinstance(word, str) or shape.fullmatch(word) is None:
            raise TokenRefused(f"The token's `{path}` has something in it that cannot be used here.")
    return tuple(words)
