"""Requests signed for AWS. Nothing is asked of anybody: key and clock are enough."""

from __future__ import annotations

import asyncio
from typing import Final

from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.transport import Origin, UpstreamRequest
from tollhouse.wire.aws_sigv4 import sign

_NAMES: Final = frozenset((b"authorization", b"x-amz-date", b"x-amz-security-token"))
_SIGNED: Final = frozenset((b"host", b"content-type"))
_LARGE_BYTES: Final = 1 << 20
"""From here on hashing takes longer than handing it to a thread."""


class SigV4Opener:
    """Implements ports.credential.Opener for a credential `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`.

    Signed are `host`, `content-type`, every `x-amz-` header and the body: what AWS demands and no more, so that a proxy
    on the way may add or change the rest.
    """

    names = _NAMES

    def __init__(self, origin: Origin, secret: Secret, *, region: str, service: str, clock: Clock) -> None:
        """Raises: ValueError; the message does not show the secret."""
        access_key, _, rest = secret.reveal().partition(":")
        secret_key, _, session_token = rest.partition(":")
        if (
            not _is_plain(access_key)
            or not _is_plain(secret_key)
            or (session_token and not _is_plain(session_token))
        ):
            raise ValueError(
                f"The credential for {origin.host} is not of the form ACCESS_KEY_ID:SECRET_ACCESS_KEY or "
                "ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN, without spaces."
            )
        if not region or not service:
            raise ValueError(f"Signing for {origin.host} needs a region and a service's name.")
        self.origin = origin
        self._access_key = access_key
        self._secret_key = Secret(secret_key)
        self._session_token = Secret(session_token) if session_token else None
        self._region = region
        self._service = service
        self._clock = clock

    def __repr__(self) -> str:
        return f"SigV4Opener({self.origin.host})"

    async def headers(self, request: UpstreamRequest, deadline: float) -> tuple[tuple[bytes, bytes], ...]:  # noqa: ARG002 - the port's
        """See ports.credential. Never fails."""
        if len(request.body) >= _LARGE_BYTES:
            return await asyncio.to_thread(self._sign, request)
        return self._sign(request)

    def secrets(self) -> tuple[str, ...]:
        """See ports.credential. The key's id too: it names the house's account."""
        token = self._session_token
        return (self._access_key, self._secret_key.reveal(), *([token.reveal()] if token is not None else []))

    def refused(self) -> None:
        """See ports.credential. Each signature is used once as it is."""

    def _sign(self, request: UpstreamRequest) -> tuple[tuple[bytes, bytes], ...]:
        path, _, query = request.path.decode("ascii").partition("?")
        token = self._session_token
        return tuple(
            sign(
                request.method.decode("ascii"),
                path,
                query,
                [each for each in request.headers if each[0] in _SIGNED or each[0].startswith(b"x-amz-")],
                request.body,
                region=self._region,
                service=self._service,
                access_key=self._access_key,
                secret_key=self._secret_key.reveal(),
                session_token=token.reveal() if token is not None else None,
                now_epoch_s=int(self._clock.now()),
            )
        )


def _is_plain(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
