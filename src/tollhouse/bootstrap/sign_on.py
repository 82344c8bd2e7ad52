"""`tollhouse login` and what follows: from the identity provider's word to a session of the house, and its end."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from tollhouse.config.identity import Oidc, rooted_identity
from tollhouse.core.sign_on import nonce_of

from .reading import CannotServe, Environment, read_config

_AGAIN: Final = "Try again: `tollhouse login`."
_SESSION: Final = "/admin/v1/session"


class Refused(Exception):
    """The house or the provider does not let in; the text says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = _AGAIN) -> None:
        super().__init__(message)
        self.hint = hint


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """A session, as it is kept between two commands."""

    house: str
    session: str
    account: str
    expires_at: str


def login(
    path: Path, environment: Environment, house: str | None, *, show: Callable[[str], None], wait_s: float
) -> Stay:
    """Come in by the provider of a configuration file. `show` is given the address to go to with a browser.

    Raises: ConfigInvalid, CannotServe, Refused.
    """
    from tollhouse.adapters.identity_provider import ProviderDown  # noqa: PLC0415

    loaded = read_config(path, environment)
    oidc = rooted_identity(loaded.config.identity, lambda file: str(loaded.folder / file)).oidc
    if oidc is None:
        raise CannotServe(
            "This gateway has no single sign-on.", "Name your identity provider under identity.oidc."
        )
    listen = loaded.snapshot.listen
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    house = (house or f"http://{host}:{listen.port}").rstrip("/")
    try:
        secret = secrets.token_urlsafe(32)
        return _come_in(house, _id_token(oidc, secret, show, wait_s), secret)
    except ProviderDown as error:
        raise Refused(str(error)) from None


def _id_token(oidc: Oidc, secret: str, show: Callable[[str], None], wait_s: float) -> str:
    """The provider's word for whoever sits at the browser."""
    from tollhouse.adapters.identity_provider import Loopback, discover  # noqa: PLC0415

    provider = discover(oidc.issuer, oidc.ca_file)
    if "S256" not in provider.get("code_challenge_methods_supported", ["S256"]):
        raise Refused("The identity provider does not take PKCE with S256.", "Use one that does.")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with Loopback(state) as loopback:
        asked = {
            "response_type": "code",
            "client_id": oidc.client_id,
            "redirect_uri": loopback.redirect_uri,
            "scope": " ".join(oidc.scopes),
            "state": state,
            "nonce": nonce_of(secret),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = _web_address(provider, "authorization_endpoint")
        show(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}")
        answer = loopback.wait(wait_s)
        code = _code(oidc, provider, answer)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": loopback.redirect_uri,
            "client_id": oidc.client_id,
            "code_verifier": verifier,
        }
    return _exchanged(oidc, _web_address(provider, "token_endpoint"), form)


def _code(oidc: Oidc, provider: Mapping[str, Any], answer: Mapping[str, str] | None) -> str:
    """Raises: Refused where the answer is none, or not from whom it should be (RFC 9207)."""
    if answer is None:
        raise Refused("Nobody has come back from the identity provider in time.")
    says_who = provider.get("authorization_response_iss_parameter_supported") is True
    if ("iss" in answer or says_who) and answer.get("iss") != oidc.issuer:
        raise Refused("The answer is from another identity provider than the one that was asked.")
    if "error" in answer:
        raise Refused(f"The identity provider says no: {_printable(answer['error'])}.")
    code = answer.get("code", "")
    if not code:
        raise Refused("The identity provider's answer has no code.")
    return code


def _exchanged(oidc: Oidc, endpoint: str, form: Mapping[str, str]) -> str:
    from tollhouse.adapters.identity_provider import call  # noqa: PLC0415

    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = call("POST", endpoint, body=urlencode(form).encode(), headers=headers, ca_file=oidc.ca_file)
    token = _document(answer.body).get("id_token")
    if answer.status != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise Refused(f"The identity provider gives nothing for the code (status {answer.status}).")
    return token


def _web_address(provider: Mapping[str, Any], name: str) -> str:
    address = provider.get(name)
    if not isinstance(address, str) or urlsplit(address).scheme not in ("https", "http"):
        raise Refused(f"The identity provider's discovery document has no {name}.")
    return address


# -- the house


def _come_in(house: str, token: str, secret: str) -> Stay:
    document = _ask("POST", house, _SESSION, token, {"x-tollhouse-nonce": secret})
    return Stay(
        house=house,
        session=document["session"],
        account=document["account"],
        expires_at=document["expires_at"],
    )


def whoami(stay: Stay) -> dict[str, Any]:
    """What the house says of whoever has this session. Raises: Refused."""
    return _ask("GET", stay.house, "/admin/v1/me", stay.session)


def logout(stay: Stay) -> None:
    """End a session. Raises: Refused."""
    _ask("DELETE", stay.house, _SESSION, stay.session)


def _ask(
    method: str, house: str, path: str, credential: str, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    from tollhouse.adapters.identity_provider import ProviderDown, call  # noqa: PLC0415

    headers = {"authorization": f"Bearer {credential}", **(more or {})}
    try:
        answer = call(method, house + path, headers=headers, whom=f"The gateway at {house}", timeout_s=30.0)
    except ProviderDown as error:
        raise Refused(str(error), "Is it running? Name another with --house URL.") from None
    document = _document(answer.body)
    if answer.status >= 300:
        told = document.get("error", {})
        message = told.get("message", f"The gateway answers with status {answer.status}.")
        raise Refused(message, told.get("hint", _AGAIN))
    return document


def _document(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:100] if letter.isprintable())
