"""The stream callers against the stream upstream, with no gateway between."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench
from bench.bodies import CHUNKS
from bench.latency import added_latency, first_answer
from bench.problems import RunVoid
from bench.processes import Launch, free_port, run, wait_for_port
from bench.streams import idle_callers, stream_load


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    launch = Launch(
        command=(sys.executable, "-m", "bench.sse_upstream", str(port)),
        environment={"PYTHONPATH": str(Path(bench.__file__).parents[1])},
    )
    with run(launch, folder=tmp_path, cores=sorted(os.sched_getaffinity(0))) as running:
        wait_for_port(running, port, limit_s=60)
        assert first_answer(running, port=port, key="k", limit_s=60) > 0
        yield port


def test_streams_are_whole_and_counted(upstream):
    load = asyncio.run(stream_load(port=upstream, key="k", streams=3, seconds=0.1))
    assert load.streams >= 3
    assert load.chunks == load.streams * CHUNKS
    assert load.reads >= load.streams


def test_idle_streams_begin_and_are_counted(upstream):
    async def hold() -> tuple[int, int]:
        async with idle_callers(upstream, "k") as callers:
            return await callers.grow_to(5), await callers.grow_to(60)

    assert asyncio.run(hold()) == (5, 60)


def test_latency_is_taken_on_both_sides(upstream):
    latency = added_latency(upstream=upstream, gateway=upstream, key="k", calls=100)
    assert latency.calls == 100
    assert 0 < latency.direct_p50_ms <= latency.direct_p99_ms


def test_stream_load_is_void_when_the_answer_is_an_error():
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def ask() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(RunVoid, match="status 503"):
                await stream_load(port=port, key="k", streams=2, seconds=0.1)
            with pytest.raises(RunVoid, match="refused"):
                async with idle_callers(port, "k") as callers:
                    await callers.grow_to(2)

    asyncio.run(ask())
