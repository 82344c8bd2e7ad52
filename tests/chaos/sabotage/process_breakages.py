"""Broken builds for the scenarios of the process: its closing, its death, its bounds, its changes."""

from __future__ import annotations

from typing import Any

from chaos.sabotage.breakages import breakage, wrap


@breakage
def the_house_does_not_wait_for_those_inside() -> None:
    from tollhouse.surface.http.server import HttpServer

    wrap(HttpServer, "stop", lambda original, self, drain_s: original(self, 0.0))


@breakage
def a_dead_worker_is_missed_late() -> None:
    from tollhouse.runtime import workers

    workers._FIRST_REST_S = 2.0  # type: ignore[misc]
    workers._GROWN_UP_S = float("inf")  # type: ignore[misc]


@breakage
def nobody_watches_the_loop() -> None:
    from tollhouse.runtime.watchdog import Silence, Watchdog

    wrap(Watchdog, "feed", lambda original, self: None)
    wrap(Silence, "look", lambda original, self, now: None)


@breakage
def tokens_are_counted_on_the_loop() -> None:
    """At the end of each answer, over all of it, with a pattern that tells words apart."""
    import time

    from tollhouse.stages.account import Accountant

    def settle(original: Any, self: Any, passage: Any) -> Any:
        time.sleep(passage.response_bytes / 10e6)
        return original(self, passage)

    wrap(Accountant, "settle", settle)


@breakage
def idle_streams_keep_a_large_buffer() -> None:
    from tollhouse.surface.http.connection import Connection

    kept: list[bytearray] = []

    def begin(original: Any, self: Any, request: Any) -> None:
        kept.append(bytearray(b"x" * 65_536))
        original(self, request)

    wrap(Connection, "begin", begin)


@breakage
def callers_are_not_counted() -> None:
    """As many as the system lets in, until it lets in no more."""
    from tollhouse.surface.http.connection import Welcome
    from tollhouse.surface.http.server import HttpServer

    def opened(original: Any, self: Any, connection: Any) -> Any:
        original(self, connection)
        self._refused.discard(connection)
        return Welcome.SERVED

    wrap(HttpServer, "opened", opened)


@breakage
def bodies_are_taken_without_bound() -> None:
    from tollhouse.surface.http.bodies import BodyRoom

    wrap(BodyRoom, "take", lambda original, self, size: True)
    wrap(BodyRoom, "give", lambda original, self, size: None)
    nobody_is_shed()


@breakage
def nobody_is_shed() -> None:
    from tollhouse.runtime.pressure import PressureGate

    wrap(PressureGate, "check", lambda original, self, priority: None)


@breakage
def a_reload_is_done_in_two_steps() -> None:
    """Calls meet the new snapshot with the old routes for a moment."""
    import asyncio

    from msgspec.structs import replace

    from tollhouse.surface.http.server import HttpServer

    def serve_by(original: Any, self: Any, house: Any, *rest: Any) -> None:
        original(self, replace(house, router=self.house.router), *rest)
        asyncio.get_running_loop().call_later(0.05, lambda: original(self, house, *rest))

    wrap(HttpServer, "serve_by", serve_by)


@breakage
def connections_of_what_is_gone_are_cut() -> None:
    """With a reload all connections to upstreams are closed, whoever uses them."""
    import gc

    from tollhouse.adapters.http1.connection import Connection
    from tollhouse.surface.http.server import HttpServer

    def serve_by(original: Any, self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        for each in gc.get_objects():
            if isinstance(each, Connection):
                each.cut()

    wrap(HttpServer, "serve_by", serve_by)


@breakage
def the_house_looks_around() -> None:
    """Each process asks somewhere whether there is anything new."""
    import contextlib
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("192.0.2.1", 443), 0.2):
        pass
