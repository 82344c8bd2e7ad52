"""The same port on aiohttp: the yardstick. Where it cannot keep a promise is written down in `shortcomings.py`."""

from __future__ import annotations

import asyncio
import io
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.ports.credential import Opener
from tollhouse.ports.transport import (
    Credential,
    Egress,
    Headers,
    Origin,
    Phase,
    Target,
    TransportError,
    UpstreamRequest,
)

_INVALID = (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError)


class AiohttpTarget:
    def __init__(self, origin: Origin, credential: Credential | Opener | None, egress: Egress) -> None:
        if credential is not None and credential.origin != origin:
            raise ValueError("The credential belongs to another origin.")
        self.origin = origin
        self.credential = credential if isinstance(credential, Credential) else None
        self.opener = None if isinstance(credential, Credential) else credential
        self.proxy = f"http://{egress.proxy.host}:{egress.proxy.port}" if egress.proxy else None
        self.tls: ssl.SSLContext | bool = True
        if egress.ca_file is not None:
            self.tls = ssl.create_default_context(cafile=egress.ca_file)


class AiohttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse, deadline: float) -> None:
        self.status = response.status
        self.headers: Headers = [(name.lower(), value) for name, value in response.raw_headers]
        self._response = response
        self._deadline = deadline
        self._kind = ErrorKind.TIMEOUT_TOTAL
        self._at = deadline

    def hurry(self) -> None:
        """Everything is read as fast as it comes."""

    def expect(self, kind: ErrorKind, at: float) -> None:
        self._kind, self._at = (
            (kind, at) if at < self._deadline else (ErrorKind.TIMEOUT_TOTAL, self._deadline)
        )

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._at):
                return await self._response.content.readany()
        except TimeoutError:
            self.close()
            raise TransportError(self._kind, Phase.STARTED, "the answer stalled") from None
        except asyncio.CancelledError:
            self.close()
            raise
        except (aiohttp.ClientError, OSError) as error:
            self.close()
            broken = isinstance(error.__cause__, _INVALID) and "Not enough data" not in str(error)
            kind = ErrorKind.UPSTREAM_INVALID_RESPONSE if broken else ErrorKind.UPSTREAM_UNAVAILABLE
            raise TransportError(kind, Phase.STARTED, str(error)) from error
        except RuntimeError as error:  # what was closed meanwhile
            raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.STARTED, str(error)) from error

    def close(self) -> None:
        self._response.close()


class AiohttpTransport:
    def __init__(self) -> None:
        traces = aiohttp.TraceConfig()
        traces.on_request_headers_sent.append(_mark_sent)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1_000, force_close=False),
            auto_decompress=False,
            trace_configs=[traces],
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def bind(
        self, origin: Origin, credential: Credential | Opener | None = None, egress: Egress | None = None
    ) -> AiohttpTarget:
        return AiohttpTarget(origin, credential, egress or Egress())

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> AiohttpAnswer:
        assert isinstance(target, AiohttpTarget)
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            raise TransportError(ErrorKind.TIMEOUT_TOTAL, Phase.NOT_SENT, "no time left")
        if self._session.closed:
            raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, "the transport is closed")

        if target.opener is not None:
            request = await _opened(target.opener, request, deadline)

        async def sent() -> None:
            first_header_at = loop.time() + timeouts.first_header_s
            if first_header_at < deadline:
                trace.kind = ErrorKind.TIMEOUT_FIRST_HEADER
                clock.reschedule(first_header_at)

        trace = SimpleNamespace(phase=Phase.NOT_SENT, kind=ErrorKind.TIMEOUT_TOTAL, sent=sent)
        try:
            async with asyncio.timeout_at(deadline) as clock:
                response = await self._request(target, request, timeouts, trace)
        except aiohttp.ConnectionTimeoutError:
            raise TransportError(ErrorKind.TIMEOUT_CONNECT, Phase.NOT_SENT, "no connection in time") from None
        except TimeoutError:
            raise TransportError(trace.kind, trace.phase, "no answer in time") from None
        except aiohttp.ClientResponseError as error:
            phase = Phase.NOT_SENT if trace.phase is Phase.NOT_SENT else Phase.STARTED
            unreachable = phase is Phase.NOT_SENT
            failed = ErrorKind.UPSTREAM_UNAVAILABLE if unreachable else ErrorKind.UPSTREAM_INVALID_RESPONSE
            raise TransportError(failed, phase, error.message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, trace.phase, str(error)) from error
        if response.status == 401 and target.opener is not None:
            target.opener.refused()
        return AiohttpAnswer(response, deadline)

    async def _request(
        self, target: AiohttpTarget, request: UpstreamRequest, timeouts: Timeouts, trace: SimpleNamespace
    ) -> aiohttp.ClientResponse:
        headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers]
        if target.credential is not None:
            headers.append((target.credential.header.decode("ascii"), target.credential.value.reveal()))
        origin = target.origin
        url = URL(
            f"{origin.scheme}://{origin.host}:{origin.port}{request.path.decode('ascii')}", encoded=True
        )
        return await self._session.request(
            request.method.decode("ascii"),
            url,
            data=io.BytesIO(request.body) if request.body else None,
            headers=headers,
            allow_redirects=False,
            ssl=target.tls,
            proxy=target.proxy,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s),
            trace_request_ctx=trace,
        )

    async def close(self) -> None:
        await self._session.close()


async def _opened(opener: Opener, request: UpstreamRequest, deadline: float) -> UpstreamRequest:
    if opener.names & {name for name, _ in request.headers}:
        raise ValueError("The credential's headers are not the request's.")
    default = {"http": 80, "https": 443}[opener.origin.scheme]
    host = opener.origin.host + (f":{opener.origin.port}" if opener.origin.port != default else "")
    as_sent = msgspec.structs.replace(request, headers=((b"host", host.encode()), *request.headers))
    added = await opener.headers(as_sent, deadline)
    return msgspec.structs.replace(request, headers=(*request.headers, *added))


async def _mark_sent(_session: Any, context: Any, _params: Any) -> None:
    trace = context.trace_request_ctx
    trace.phase = Phase.SENT
    await trace.sent()
