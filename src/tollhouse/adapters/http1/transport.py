"""The upstream transport: binds targets, opens calls, keeps connections for the next one."""

from __future__ import annotations

import asyncio

from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.ports.credential import Opener
from tollhouse.ports.transport import (
    Credential,
    Egress,
    Origin,
    Phase,
    Target,
    TransportError,
    UpstreamRequest,
)

from .answer import Http1Answer
from .connection import Connection
from .dial import Dialler
from .limits import STANDARD, Limits
from .pool import Fleet
from .resolve import LookUp, system_look_up
from .target import Http1Target
from .trust import Trust

_CLOSE_PATIENCE_S = 2.0


class Http1Transport:
    """Implements ports.transport.Transport and Connector over HTTP/1.1. To be made inside the loop it is for."""

    def __init__(self, limits: Limits = STANDARD, look_up: LookUp = system_look_up) -> None:
        self._loop = asyncio.get_running_loop()
        self._fleet = Fleet(self._loop, limits)
        self._dialler = Dialler(self._loop, look_up)
        self._trust = Trust()

    def bind(
        self, origin: Origin, credential: Credential | Opener | None = None, egress: Egress | None = None
    ) -> Http1Target:
        """See ports.transport. Reads the CA file, if there is one: blocks for some milliseconds."""
        egress = egress or Egress()
        tls = self._trust.context(egress.ca_file) if origin.scheme == "https" else None
        return Http1Target(self._loop, self._fleet, origin, credential, egress, tls)

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Http1Answer:
        """See ports.transport."""
        assert isinstance(target, Http1Target)
        head = target.render(request)
        if target.opener is not None:
            head = await target.opened(head, request, deadline)
        now = self._loop.time()
        if deadline <= now:
            raise TransportError(
                ErrorKind.TIMEOUT_TOTAL, Phase.NOT_SENT, f"No time was left to call {target.place}."
            )
        connection = target.pool.checkout(now)
        if connection is None:
            connection = await self._connect(target, timeouts, deadline)
            now = self._loop.time()
        answer = connection.call(
            head,
            request.body,
            is_bodiless=request.method == b"HEAD",
            first_header_at=now + timeouts.first_header_s,
            deadline=deadline,
        )
        await answer.head()
        if answer.status == 401 and target.opener is not None:
            target.opener.refused()
        return answer

    async def try_connection(self, target: Target, timeouts: Timeouts, deadline: float) -> None:
        """See ports.transport.Connector."""
        assert isinstance(target, Http1Target)
        (await self._connect(target, timeouts, deadline)).cut()

    async def _connect(self, target: Http1Target, timeouts: Timeouts, deadline: float) -> Connection:
        self._fleet.reserve()
        try:
            connection = await self._dialler.dial(target, timeouts, deadline)
        finally:
            self._fleet.release()
        if self._fleet.is_closed:
            connection.cut()
        self._fleet.refuse_if_closed()
        return connection

    async def close(self) -> None:
        """See ports.transport."""
        await self._fleet.close(_CLOSE_PATIENCE_S)
