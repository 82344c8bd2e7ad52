"""The real server before a real house whose transport and journal are fakes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

from contract.http_front.front import Caller
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.exchange import Settlement
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import virtual_key_text
from tollhouse.core.secret import Secret
from tollhouse.pipeline import House
from tollhouse.plugins import load_plugins
from tollhouse.stages.account import Accountant
from tollhouse.stages.authenticate import Keyring, key_digest
from tollhouse.stages.dispatch import Dispatcher
from tollhouse.stages.list_models import ModelBook
from tollhouse.stages.translate import find_way
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.server import HttpServer
from tollhouse.testing import FakeClock
from workbench import counters, rooms, turnstile, workbench

CONFIG = """
version: 1
providers:
  up: {kind: openai_compatible, base_url: http://127.0.0.1:9}
routes:
  gpt: {deployments: [{provider: up, model: m}]}
"""
PEPPER = Secret("pepper")
KEY = virtual_key_text(bytes(32))


class Book:
    """A journal that keeps what it is told."""

    def __init__(self) -> None:
        self.settled: list[Settlement] = []

    async def write_ahead(self, intent: object) -> None:
        raise AssertionError("nothing is called upstream here")

    def note(self, entry: object) -> None:
        if isinstance(entry, Settlement):
            self.settled.append(entry)

    def close(self) -> None:
        return


def house(book: Book, *, with_keys: bool = True) -> House:
    """One route, one key that may use everything, and nobody upstream."""
    plugins = load_plugins()
    clock = FakeClock()
    snapshot = compile_config(load(CONFIG), plugins.providers)
    keyring = Keyring(PEPPER)
    if with_keys:
        keyring.learn([VirtualKey(id="k", name="k", digest=key_digest(PEPPER, KEY), routes=("*",))])
        keyring.set_loaded()

    def report(request_id: str, defect: BaseException) -> None:
        raise AssertionError(f"a defect in {request_id}") from defect

    return House(
        snapshot=snapshot,
        workbench=workbench(plugins.dialects, clock),
        models=ModelBook(snapshot, plugins.dialects, find_way),
        keyring=keyring,
        dispatcher=Dispatcher(cast("Any", None), book, clock, {}, turnstile(clock)),
        **rooms(snapshot, clock),
        accountant=Accountant(book, [], clock, counters(clock)),
        clock=clock,
        report=report,
    )


@contextlib.asynccontextmanager
async def serving(server: HttpServer) -> AsyncIterator[int]:
    """The port of a started server; it is stopped at the end, and nothing may be left."""
    before = asyncio.all_tasks()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    await server.start(listener)
    try:
        yield listener.getsockname()[1]
    finally:
        await server.stop(0.0)
    assert server.connection_count == 0
    assert asyncio.all_tasks() == before


@contextlib.asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    """A connection to it."""
    with socket.socket() as own:
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
        yield Caller(own)


async def _exposition() -> bytes:
    return b"tollhouse_up 1\n"


def server_of(book: Book, *, with_keys: bool = True, with_metrics: bool = True) -> HttpServer:
    return HttpServer(house(book, with_keys=with_keys), Limits(), _exposition if with_metrics else None)
