"""Google Cloud by a service account's key: a signed assertion is traded for an access token.

Source: https://developers.google.com/identity/protocols/oauth2/service-account (HTTP/REST), read 2026-11-25.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Final

import msgspec

from tollhouse.core.errors import ErrorKind
from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.transport import Egress, Origin, Phase, Transport, TransportError, UpstreamRequest

from .token_endpoint import TokenEndpoint
from .tokens import BearerTokens, Token

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_ASSERTION_S: Final = 3_600
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class _Key(msgspec.Struct):
    """The JSON key as Google hands it out."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"
    type: str = "service_account"


class GoogleServiceAccountOpener:
    """Implements ports.credential.Opener for a service account."""

    names = frozenset((b"authorization",))

    def __init__(
        self,
        origin: Origin,
        secret: Secret,
        *,
        scope: str = "",
        transport: Transport,
        clock: Clock,
        egress: Egress | None = None,
    ) -> None:
        """`secret` is JSON. Raises: ValueError; the message does not show it. A private key that cannot be read is
        found out when the first token is minted."""
        try:
            key = msgspec.json.decode(secret.reveal(), type=_Key)
        except ValueError:
            key = None
        if key is None or key.type != "service_account" or not key.client_email or not key.private_key:
            raise ValueError(
                f"The credential for {origin.host} is not a service account's JSON key: it needs client_email and "
                "private_key. Other JSON credentials of Google's are not taken."
            )
        self.origin = origin
        self._endpoint = TokenEndpoint(key.token_uri, transport, egress)
        self._audience = key.token_uri
        self._email = key.client_email
        self._key_id = key.private_key_id
        self._private_key = Secret(key.private_key)
        self._scope = scope or _SCOPE
        self._clock = clock
        self._tokens = BearerTokens(self._mint, clock, self._endpoint.host)

    def __repr__(self) -> str:
        return f"GoogleServiceAccountOpener({self.origin.host})"

    async def headers(self, request: UpstreamRequest, deadline: float) -> tuple[tuple[bytes, bytes], ...]:  # noqa: ARG002 - the port's
        """See ports.credential."""
        return (await self._tokens.header(deadline),)

    def secrets(self) -> tuple[str, ...]:
        """See ports.credential."""
        return (*self._tokens.texts(), self._private_key.reveal())

    def refused(self) -> None:
        """See ports.credential."""
        self._tokens.doubt()

    async def _mint(self, deadline: float) -> Token:
        try:
            assertion = await asyncio.to_thread(self._assertion)
        except ValueError:
            raise TransportError(
                ErrorKind.UPSTREAM_UNAVAILABLE,
                Phase.NOT_SENT,
                "There is no token to open the provider with: the private_key in its credential is not an RSA key "
                "in PEM form, without a password.",
            ) from None
        return await self._endpoint.ask({"grant_type": _GRANT, "assertion": assertion}, deadline)

    def _assertion(self) -> str:
        """Signed with RS256 (RFC 7515, 7523). Blocks for some milliseconds, longer the first time.

        Raises: ValueError where the private key cannot be used.
        """
        now = int(self._clock.now())
        header = {"alg": "RS256", "typ": "JWT"} | ({"kid": self._key_id} if self._key_id else {})
        claims = {
            "iss": self._email,
            "scope": self._scope,
            "aud": self._audience,
            "iat": now,
            "exp": now + _ASSERTION_S,
        }
        signed = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, claims))
        return (signed + b"." + _base64url(_sign(signed, self._private_key))).decode("ascii")


def _sign(text: bytes, private_key: Secret) -> bytes:
    """Raises: ValueError."""
    # Loaded where it is needed only: most houses have no use for it, and it takes tens of milliseconds.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(private_key.reveal().encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError
    return key.sign(text, PKCS1v15(), SHA256())


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
