"""Tokens instead of keys: whose they are is known by who has signed them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.tokens import Issuer, Token, TokenRefused, check_claims, principal_of, read_token
from tollhouse.ports.signing_keys import SigningKeys

from .refusals import cannot_check, no_key

_MOST_REMEMBERED: Final = 10_000
"""Of one issuer."""
_ASK_AGAIN_S: Final = 30.0
"""How old keys are that may be asked for once more because of a token that none of them has signed."""
_HINT: Final = "Get a new token from your identity provider, for this gateway, and send it as it is."


class _Bearer(msgspec.Struct, frozen=True):
    """A token that was good."""

    principal: Principal
    expires_at: float


class _Known:
    """One issuer as it is trusted just now."""

    __slots__ = ("bearers", "document", "fetched_at", "issuer", "keys", "usable_until")

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.keys: SigningKeys | None = None
        self.document = b""
        """What they were read from."""
        self.fetched_at = -inf
        self.usable_until = -inf
        self.bearers: dict[bytes, _Bearer] = {}
        """By digest of the whole token, of the issuer and of the audiences: see `_digest`."""


class TrustedIssuers:
    """Everybody whose tokens let in, with their keys. Outlives reloads. Changed by `trust` and `learn` only."""

    def __init__(self, read_keys: Callable[[bytes], SigningKeys]) -> None:
        """`read_keys` makes keys of a JWK Set. It raises ValueError for what is none."""
        self._read_keys = read_keys
        self._known: dict[str, _Known] = {}
        """By `iss`."""
        self._wanted: dict[str, None] = {}
        self._documents: dict[str, tuple[bytes, float, float]] = {}
        """What has been learnt, by name: of issuers too that are trusted only from the next configuration on."""

    def trust(self, issuers: Iterable[Issuer]) -> None:
        """These and nobody else. Who has changed in anything begins without remembered tokens."""
        before = self._known
        self._known = {}
        for issuer in issuers:
            known = before.get(issuer.issuer)
            if known is None or known.issuer != issuer:
                known = _Known(issuer)
                if (told := self._documents.get(issuer.name)) is not None:
                    self._take(known, *told)
            self._known[issuer.issuer] = known

    def learn(self, name: str, document: bytes, fetched_at: float, usable_until: float) -> None:
        """An issuer's keys as they are now, and until when they may be gone by (seconds since the epoch)."""
        self._documents[name] = (document, fetched_at, usable_until)
        for known in self._known.values():
            if known.issuer.name == name:
                self._take(known, document, fetched_at, usable_until)

    def _take(self, known: _Known, document: bytes, fetched_at: float, usable_until: float) -> None:
        if known.keys is None or document != known.document:
            try:
                known.keys = self._read_keys(document)
            except ValueError:  # the keeper has looked at it before: this cannot be
                return
            known.document = document
            # What a key has signed that is published no more is nobody's word any more.
            known.bearers.clear()
        known.fetched_at, known.usable_until = fetched_at, usable_until

    def take_wanted(self) -> list[str]:
        """Names of issuers whose tokens have come that were signed by keys not known here, since the last time."""
        wanted, self._wanted = self._wanted, {}
        return list(wanted)

    def identify(self, text: bytes, now: float) -> Principal:
        """The principal of a token that is presented at `now` (seconds since the epoch).

        Raises: GatewayError `unauthenticated`, or `auth_unavailable` where the issuer's keys are not known.
        """
        for known in self._known.values():
            bearer = known.bearers.get(_digest(known.issuer, text))
            if bearer is not None and now < bearer.expires_at and now < known.usable_until:
                return bearer.principal
        try:
            token = read_token(text)
            known = self._issuer_of(token)
            self._check_signature(known, token, now)
            return self._remembered(known, text, token, now)
        except TokenRefused as refused:
            raise no_key(str(refused), _HINT) from None

    def _issuer_of(self, token: Token) -> _Known:
        known = self._known.get(token.issuer)
        if known is None:
            raise TokenRefused("The token's issuer is not one that is trusted here.")
        if token.algorithm not in known.issuer.algorithms:
            raise TokenRefused("The token is signed in a way (`alg`) that is not taken from its issuer.")
        return known

    def _check_signature(self, known: _Known, token: Token, now: float) -> None:
        keys = known.keys
        if keys is None or now >= known.usable_until:
            raise _no_keys(known.issuer.name)
        if token.key_id is not None and not keys.has(token.key_id):
            if now - known.fetched_at >= _ASK_AGAIN_S:
                self._wanted[known.issuer.name] = None
                raise _no_keys(known.issuer.name)
            raise TokenRefused("The token is signed by a key that its issuer has not published.")
        if not keys.check(token.algorithm, token.key_id, token.signed, token.signature):
            raise TokenRefused("The token's signature is not its issuer's.")

    def _remembered(self, known: _Known, text: bytes, token: Token, now: float) -> Principal:
        issuer = known.issuer
        expires_at = check_claims(token.claims, issuer.issuer, issuer.audiences, now, issuer.leeway_s)
        principal = principal_of(issuer, token.claims, expires_at)
        bearers = known.bearers
        if len(bearers) >= _MOST_REMEMBERED:
            for digest in list(bearers)[: _MOST_REMEMBERED // 10]:
                del bearers[digest]
        bearers[_digest(issuer, text)] = _Bearer(principal, expires_at)
        return principal


def _digest(issuer: Issuer, text: bytes) -> bytes:
    """Of the whole token and of everything that has decided it was good for."""
    meant = msgspec.msgpack.encode((issuer.issuer, issuer.audiences))
    return hashlib.sha256(len(meant).to_bytes(4, "big") + meant + text).digest()


def _no_keys(name: str) -> GatewayError:
    return cannot_check(
        f"The token cannot be checked now: keys of the issuer {name} are out of reach.",
        "Try again shortly; the token itself may be fine.",
    )
