"""The text of a pass, wherever callers put it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation
from tollhouse.core.tokens import looks_like_token

from .certificates import NO_KEY, TrustedCertificates
from .client_tokens import PREFIX, check_page
from .issuers import TrustedIssuers
from .keyring import Keyring
from .refusals import no_key

_BEARER: Final = b"bearer "
_KEY_HEADERS: Final = (b"x-api-key", b"x-goog-api-key", b"api-key")


def presented_key(headers: Mapping[bytes, bytes], query: str = "") -> bytes:
    """The text of the pass: `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `api-key`, the first that is
    there; where none is, `key=` of a query that may have one.

    Raises: GatewayError `unauthenticated` when there is none.
    """
    text = _shown(headers, query)
    if not text:
        raise no_key("No key was sent.", "Send `Authorization: Bearer <your key>`.")
    return text


def _shown(headers: Mapping[bytes, bytes], query: str) -> bytes:
    """Empty where there is none. Raises: GatewayError for an authorization of another form."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        if authorization[:7].lower() == _BEARER and len(authorization) > len(_BEARER):
            return authorization[7:]
        raise no_key(
            "The authorization header is not of the form `Bearer <key>`.",
            "Send `Authorization: Bearer <your key>`.",
        )
    for name in _KEY_HEADERS:
        value = headers.get(name)
        if value:
            return value
    for field in query.split("&"):
        if field.startswith("key=") and len(field) > 4:
            return unquote_to_bytes(field[4:])
    return b""


def authenticate(
    headers: Mapping[bytes, bytes],
    keyring: Keyring,
    now: float,
    query: str = "",
    *,
    operation: Operation = Operation.UNKNOWN,
    peer: str = "",
    issuers: TrustedIssuers | None = None,
    pages: Collection[str] = (),
    certificates: TrustedCertificates | None = None,
    certificate: bytes = b"",
) -> Principal:
    """The principal behind a request's head that asks for `operation` from `peer`; `query` only at doors where a key
    may stand in it. `issuers` are those whose tokens are taken as well as keys, `pages` the origins
    that the house takes calls from. Who shows no key may be known by a `certificate`, which a trusted proxy tells of,
    where there are `certificates` that let in.

    Raises: GatewayError, see Keyring.identify and TrustedIssuers.identify; KeyRefused `forbidden` for a browser token
    elsewhere than it is for.
    """
    if certificate and certificates is not None and _shown(headers, query) in (b"", NO_KEY):
        return certificates.identify(certificate, keyring, now, operation, peer)
    text = presented_key(headers, query)
    if issuers is not None and looks_like_token(text):
        return issuers.identify(text, now)
    if not text.startswith(PREFIX):
        return keyring.identify(text, now, operation, peer)
    if query and b"authorization" not in headers and not any(headers.get(name) for name in _KEY_HEADERS):
        raise no_key(
            "A browser token is not taken from the query, where it would be written down on its way.",
            "Send `Authorization: Bearer <your token>`.",
        )
    principal = keyring.identify(text, now, operation, peer)
    if principal.client_token is not None:
        check_page(principal.client_token, headers.get(b"origin"), pages)
    return principal
