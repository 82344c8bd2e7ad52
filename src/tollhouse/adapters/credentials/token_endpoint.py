"""Asking an identity service for a token (RFC 6749, sections 4.4, 5.1 and 5.2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Egress, Origin, Phase, Transport, TransportError, UpstreamRequest

from .tokens import Token

_TIMEOUTS: Final = Timeouts(connect_s=3.0, tls_s=5.0, first_header_s=8.0)
_HEADERS: Final = (
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
)
_MOST_BYTES: Final = 65_536
_DEFAULT_LIFETIME_S: Final = 3_600.0
_LONGEST_LIFETIME_S: Final = 86_400.0
"""Whatever the service says."""
_MOST_ASKED: Final = 2
_PAUSE_S: Final = 0.2
_PORTS: Final = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!-~]{1,16384}").fullmatch
_WORD = re.compile(r"[a-z_]{1,64}").fullmatch
_MICROSOFT_CODE = re.compile(r"AADSTS\d{1,12}").match


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | str = _DEFAULT_LIFETIME_S
    token_type: str = "Bearer"


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class TokenEndpoint:
    """One identity service's address for tokens."""

    def __init__(self, url: str, transport: Transport, egress: Egress | None) -> None:
        """Raises: ValueError where `url` is not https, or http on this machine."""
        origin, self._path = _parse(url)
        self._transport = transport
        self._target = transport.bind(origin, None, egress)
        self.host = origin.host

    async def ask(self, form: Mapping[str, str], deadline: float) -> Token:
        """A token for a form, asked for once more where the service fails.

        Raises: TransportError of phase `not_sent`: of the call that wants the token, nothing was sent. Of the
        service's answer the message holds no more than its status and code.
        """
        request = UpstreamRequest(
            method=b"POST", path=self._path, headers=_HEADERS, body=urlencode(form).encode("ascii")
        )
        asked = 1
        while True:
            try:
                status, body = await self._call(request, deadline)
            except TransportError as error:
                if asked >= _MOST_ASKED or error.kind.is_timeout:
                    raise self._failure(f"could not be asked: {error}") from None
            else:
                if status == 200:
                    return self._granted(body)
                if asked >= _MOST_ASKED or not (status >= 500 or status in (408, 429)):
                    raise self._failure(f"answered with status {status}{_reason(body)}")
            asked += 1
            await asyncio.sleep(_PAUSE_S)

    async def _call(self, request: UpstreamRequest, deadline: float) -> tuple[int, bytes]:
        answer = await self._transport.open(self._target, request, _TIMEOUTS, deadline)
        try:
            body = bytearray()
            while piece := await answer.read():
                body += piece
                if len(body) > _MOST_BYTES:
                    return answer.status, b""  # nothing that is understood is so long
            return answer.status, bytes(body)
        finally:
            answer.close()

    def _granted(self, body: bytes) -> Token:
        try:
            granted = msgspec.json.decode(body, type=_Granted)
            lifetime_s = float(granted.expires_in)
        except ValueError:  # those of msgspec among them
            raise self._failure("answered with something that is not a token") from None
        if not _TOKEN(granted.access_token) or granted.token_type.lower() != "bearer" or not lifetime_s > 0:
            raise self._failure("answered with a token that is none to be sent as `Bearer`")
        return Token(value=Secret(granted.access_token), lifetime_s=min(lifetime_s, _LONGEST_LIFETIME_S))

    def _failure(self, what: str) -> TransportError:
        return TransportError(
            ErrorKind.UPSTREAM_UNAVAILABLE,
            Phase.NOT_SENT,
            f"There is no token to open the provider with: {self.host} {what}.",
        )


def _parse(url: str) -> tuple[Origin, bytes]:
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("The address of a token endpoint cannot be read.") from None
    if scheme not in _PORTS or not host or parts.query or parts.username is not None:
        raise ValueError("The address of a token endpoint is not a plain https URL.")
    if scheme == "http" and not _is_loopback(host):
        raise ValueError(f"The token endpoint at {host} would get a secret over http: it must be https.")
    return Origin(scheme, host, _PORTS[scheme] if port is None else port), (parts.path or "/").encode("ascii")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(body: bytes) -> str:
    """The service's code for a refusal, where it is one: its other words may repeat what was sent."""
    try:
        refused = msgspec.json.decode(body, type=_Refused)
    except ValueError:
        return ""
    words = [refused.error] if _WORD(refused.error) else []
    code = _MICROSOFT_CODE(refused.error_description)
    if code is not None:
        words.append(code[0])
    return f" ({', '.join(words)})" if words else ""
