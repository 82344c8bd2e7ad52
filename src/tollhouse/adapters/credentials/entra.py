"""Azure by Microsoft Entra ID: the client credentials flow with a shared secret.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, read 2026-11-25.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.transport import Egress, Origin, Transport, UpstreamRequest

from .token_endpoint import TokenEndpoint
from .tokens import BearerTokens, Token

_AUTHORITY: Final = "https://login.microsoftonline.com"
_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
_TENANT = re.compile(r"[0-9A-Za-z.-]{1,253}").fullmatch


class _Client(msgspec.Struct):
    """The credential. `authority` is another cloud's, as `https://login.microsoftonline.us`."""

    tenant_id: str
    client_id: str
    client_secret: str
    authority: str = _AUTHORITY


class EntraOpener:
    """Implements ports.credential.Opener for an application registered in Entra."""

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
        """`secret` is JSON. Raises: ValueError; the message does not show it."""
        try:
            client = msgspec.json.decode(secret.reveal(), type=_Client)
        except ValueError:
            raise ValueError(
                f"The credential for {origin.host} is not JSON with tenant_id, client_id and client_secret."
            ) from None
        if not _TENANT(client.tenant_id) or not client.client_id or not client.client_secret:
            raise ValueError(
                f"The credential for {origin.host} has an impossible tenant_id, client_id or client_secret."
            )
        url = f"{client.authority.rstrip('/')}/{client.tenant_id}/oauth2/v2.0/token"
        self.origin = origin
        self._endpoint = TokenEndpoint(url, transport, egress)
        self._client_id = client.client_id
        self._client_secret = Secret(client.client_secret)
        self._scope = scope or _SCOPE
        self._tokens = BearerTokens(self._mint, clock, self._endpoint.host)

    def __repr__(self) -> str:
        return f"EntraOpener({self.origin.host})"

    async def headers(self, request: UpstreamRequest, deadline: float) -> tuple[tuple[bytes, bytes], ...]:  # noqa: ARG002 - the port's
        """See ports.credential."""
        return (await self._tokens.header(deadline),)

    def secrets(self) -> tuple[str, ...]:
        """See ports.credential."""
        return (*self._tokens.texts(), self._client_secret.reveal())

    def refused(self) -> None:
        """See ports.credential."""
        self._tokens.doubt()

    async def _mint(self, deadline: float) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret.reveal(),
            "scope": self._scope,
        }
        return await self._endpoint.ask(form, deadline)
