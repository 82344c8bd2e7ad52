"""Single sign-on: whom an identity provider's word makes of somebody, and what they hold for as long as they stay."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from .authority import Grant
from .tokens import TokenRefused, check_claims, claim_at

SESSION_S: Final = 8 * 3_600.0
"""For how long somebody stays at most."""
IDLE_S: Final = 30 * 60.0
"""For how long without asking for anything."""
TOUCH_S: Final = 60.0
"""How exactly it is written down when somebody has asked for something."""
_FRESH_S: Final = 600.0
"""How old the provider's word may be."""
_MOST_GROUPS: Final = 1_000
_EMAIL: Final = re.compile(r"[!-?A-~]{1,64}@([A-Za-z0-9.-]{1,189})", re.ASCII)
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43,86}", re.ASCII)


class SignOn(msgspec.Struct, frozen=True, kw_only=True):
    """The provider that people come from."""

    issuer: str
    client_id: str
    allowed_domains: tuple[str, ...]
    """Of their e-mail addresses, in lower case."""
    groups_claim: str
    roles: Mapping[str, tuple[Grant, ...]]
    """By group."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway_s: float = 60.0


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has come."""

    identity: str
    """Of the person at the provider: neither an address nor a name that could become another's."""
    issuer: str
    email: str
    name: str
    grants: tuple[Grant, ...]
    nonce: str


class AdminSession(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody stays. Its text is shown once and kept nowhere."""

    id: str
    account: str
    digest: str
    nonce: str
    """Of the sign-on that it came from: a second session cannot."""
    grants: tuple[Grant, ...]
    """Held beside the account's own, by the groups that the provider has named."""
    created_at: float
    used_at: float
    expires_at: float
    ended_at: float | None = None

    def is_open(self, now: float) -> bool:
        """Whether it still lets in."""
        return self.ended_at is None and now < self.expires_at and now < self.used_at + IDLE_S


class ExternalIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account a person of a provider has."""

    id: str
    """See Login.identity."""
    account: str
    issuer: str
    created_at: float


def nonce_of(secret: str) -> str:
    """What goes to the provider, and comes back in its word. Who only sees that word does not know the secret, and
    cannot come in with it."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()


def login_of(sign_on: SignOn, claims: Mapping[str, Any], secret: str, now: float) -> Login:
    """Who has come. The signature of the claims has been checked; `secret` is what their nonce was made of.

    Raises: TokenRefused.
    """
    check_claims(claims, sign_on.issuer, (sign_on.client_id,), now, sign_on.leeway_s)
    _check_for_us(sign_on, claims, secret, now)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise TokenRefused("The provider does not say who you are (`sub`).")
    email = _email(sign_on, claims)
    said = claims.get("name")
    name = said if isinstance(said, str) and 0 < len(said) <= 100 and said.isprintable() else email
    whole = msgspec.msgpack.encode((sign_on.issuer, subject))
    return Login(
        identity="ext_" + hashlib.sha256(whole).hexdigest(),
        issuer=sign_on.issuer,
        email=email,
        name=name,
        grants=_grants(sign_on, claims),
        nonce=claims["nonce"],
    )


def _check_for_us(sign_on: SignOn, claims: Mapping[str, Any], secret: str, now: float) -> None:
    audience, party = claims.get("aud"), claims.get("azp")
    if party is not None and party != sign_on.client_id:
        raise TokenRefused("The provider's word was given to another program (`azp`).")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise TokenRefused("The provider's word is meant for several, and does not say to whom it was given.")
    if _SECRET.fullmatch(secret) is None or claims.get("nonce") != nonce_of(secret):
        raise TokenRefused("The provider's word was given for another sign-on (`nonce`).")
    issued_at = claims.get("iat")
    if not isinstance(issued_at, int | float) or issued_at < now - _FRESH_S - sign_on.leeway_s:
        raise TokenRefused("The provider's word is too old.")


def _email(sign_on: SignOn, claims: Mapping[str, Any]) -> str:
    email = claims.get("email")
    match = _EMAIL.fullmatch(email) if isinstance(email, str) else None
    if match is None or not isinstance(email, str):
        raise TokenRefused("The provider does not say what your e-mail address is.")
    if claims.get("email_verified") is not True:
        raise TokenRefused("The provider has not verified your e-mail address.")
    if match[1].lower() not in sign_on.allowed_domains:
        raise TokenRefused("People with e-mail addresses of your domain are not let in here.")
    return email.lower()


def _grants(sign_on: SignOn, claims: Mapping[str, Any]) -> tuple[Grant, ...]:
    groups = claim_at(claims, sign_on.groups_claim)
    if not isinstance(groups, list):
        return ()
    if len(groups) > _MOST_GROUPS:
        raise TokenRefused(f"The provider names more than {_MOST_GROUPS} groups.")
    held = [grant for group in groups if isinstance(group, str) for grant in sign_on.roles.get(group, ())]
    return tuple(dict.fromkeys(held))
