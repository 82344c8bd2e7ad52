"""The two lives of a gateway that are measured, each a fresh process: one under small requests, one under streams."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import uvloop

from . import procfs
from .gateways import Gateway, make_key
from .latency import added_latency, first_answer
from .loadgen import load
from .processes import Cores, Running, free_port, run, write_files
from .records import CpuUse, Effort, IdleStreams, Load, StreamLoad, StreamRun, UnaryRun
from .streams import idle_callers, stream_load

_NO_KEY: Final = "none"
_COUNTED_PER_IN_FLIGHT: Final = 50
_LONGEST: Final = 5
T = TypeVar("T")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where runs take place: cores, effort, and a folder for the fresh folders of every process."""

    cores: Cores
    effort: Effort
    folder: Path


class _Served(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that has given its first answer."""

    running: Running
    port: int
    key: str
    cold_start_s: float


@contextlib.contextmanager
def _served(gateway: Gateway, *, upstream: int, place: Place, folder: Path) -> Iterator[_Served]:
    port = free_port()
    launch = gateway.launch(port, upstream)
    write_files(launch, folder)
    key = make_key(gateway, launch, folder)
    with run(launch, folder=folder, cores=place.cores.gateway) as running:
        cold_start_s = first_answer(running, port=port, key=key, limit_s=gateway.start_limit_s)
        procfs.wait_until_quiet(running.pid, place.effort.quiet_limit_s)
        yield _Served(running=running, port=port, key=key, cold_start_s=cold_start_s)
        running.require_alive()


def direct_load(upstream: int, place: Place) -> Load:
    """The generator straight to the upstream: how much the two can do on their cores. Raises RunVoid."""
    effort = place.effort
    return load(
        port=upstream,
        key=_NO_KEY,
        connections=effort.connections,
        seconds=effort.load_s / 2,
        folder=place.folder,
    )


def unary(gateway: Gateway, *, upstream: int, place: Place, folder: Path) -> UnaryRun:
    """Cold start, memory, added latency and load. Raises RunVoid, OSError."""
    effort = place.effort
    with _served(gateway, upstream=upstream, place=place, folder=folder) as served:
        pid = served.running.pid
        memory = procfs.memory(pid)
        latency = added_latency(
            upstream=upstream, gateway=served.port, key=served.key, calls=effort.latency_calls
        )

        def press(seconds: float) -> Load:
            return load(
                port=served.port,
                key=served.key,
                connections=effort.connections,
                seconds=seconds,
                folder=folder,
            )

        seconds = load_seconds(press(effort.warm_s).per_s, effort)
        count, cpu = _with_cpu(pid, effort, lambda: press(seconds))
    return UnaryRun(
        cold_start_s=served.cold_start_s, memory_at_start=memory, latency=latency, load=count, cpu=cpu
    )


def load_seconds(per_s: float, effort: Effort) -> float:
    """How long to load a gateway of this rate.

    Requests in flight when the time is up cost CPU and are not counted, so a slow gateway is loaded longer: until they
    are few beside the others, or for five times as long as usual.
    """
    wanted_s = effort.connections * _COUNTED_PER_IN_FLIGHT / per_s
    return min(max(wanted_s, effort.load_s), effort.load_s * _LONGEST)


def stream(gateway: Gateway, *, upstream: int, place: Place, folder: Path) -> StreamRun:
    """Cold start, CPU for streams, memory of idle streams. Raises as `unary`."""
    effort = place.effort
    with _served(gateway, upstream=upstream, place=place, folder=folder) as served:

        def press(seconds: float) -> StreamLoad:
            return uvloop.run(
                stream_load(port=served.port, key=served.key, streams=effort.streams, seconds=seconds)
            )

        press(effort.warm_s)
        count, cpu = _with_cpu(served.running.pid, effort, lambda: press(effort.stream_s))
        idle = uvloop.run(_idle(served, effort))
    return StreamRun(cold_start_s=served.cold_start_s, load=count, cpu=cpu, idle=idle)


def _with_cpu(pid: int, effort: Effort, act: Callable[[], T]) -> tuple[T, CpuUse]:
    """What `act` returns, and the CPU it cost the gateway: also what the gateway put off until later."""
    procfs.wait_until_quiet(pid, effort.quiet_limit_s)
    before_s = procfs.cpu_s(pid)
    outcome = act()
    ended_s = procfs.cpu_s(pid)
    is_quiet = procfs.wait_until_quiet(pid, effort.quiet_limit_s)
    return outcome, CpuUse(
        during_s=ended_s - before_s, after_s=procfs.cpu_s(pid) - ended_s, is_quiet=is_quiet
    )


async def _idle(served: _Served, effort: Effort) -> IdleStreams:
    pid, (few, many) = served.running.pid, effort.idle_steps
    async with idle_callers(served.port, served.key) as callers:
        opened_few = await callers.grow_to(few)
        # Blocks this loop, in which nothing happens while the streams stall.
        procfs.wait_until_quiet(pid, effort.quiet_limit_s)
        memory_few = procfs.memory(pid)
        opened_many = await callers.grow_to(many)
        procfs.wait_until_quiet(pid, effort.quiet_limit_s)
        memory_many = procfs.memory(pid)
    return IdleStreams(opened=(opened_few, opened_many), asked=(few, many), memory=(memory_few, memory_many))
