"""What is fetched, and what the fetcher cannot be talked into."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest

from contract.transport.rig import Bench, Rig, settles
from contract.transport.upstream import Script, Upstream, Wire, answering
from tollhouse.adapters.fetch import GuardedFetcher
from tollhouse.adapters.http1 import Limits
from tollhouse.adapters.system import SystemClock
from tollhouse.core.errors import Blame, ErrorKind, GatewayError

LOOPBACK = ip_network("127.0.0.0/8")
PNG = b"\x89PNG\r\n\x1a\n"


def answer(
    body: bytes = PNG, kind: bytes = b"image/png", more: bytes = b"", status: bytes = b"200 OK"
) -> bytes:
    typed = b"content-type: %s\r\n" % kind if kind else b""
    return b"HTTP/1.1 %s\r\n%s%scontent-length: %d\r\n\r\n%s" % (status, typed, more, len(body), body)


def redirect(location: bytes, status: bytes = b"302 Found") -> bytes:
    return answer(b"", b"", b"location: %s\r\n" % location, status)


class Names:
    """A resolver that knows what a test tells it, and counts."""

    def __init__(self, **addresses: list[str]) -> None:
        self.asked: list[str] = []
        self._addresses = {f"{name}.example": found for name, found in addresses.items()}

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self._addresses:
            raise OSError("unknown")
        return self._addresses[host]


def fetcher(bench: Bench, names: Names | None = None, **options: Any) -> GuardedFetcher:
    settings = {"allow": [LOOPBACK], "max_bytes": 10_000, "timeout_s": 5.0} | options
    return GuardedFetcher(bench.transport, SystemClock(), resolver=names or Names(), **settings)


def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
    Rig("http1-uvloop").run(scenario)


async def refusal(fetching: Awaitable[object]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await fetching
    error = caught.value
    assert error.kind is ErrorKind.INVALID_REQUEST
    assert error.hint
    assert "s3cret" not in error.message + error.hint
    return error


async def served(bench: Bench, script: Script) -> tuple[Upstream, str]:
    upstream = await bench.upstream(script)
    return upstream, f"http://127.0.0.1:{upstream.port}/a.png?sig=s3cret"


def test_file_is_fetched_when_its_network_is_open() -> None:
    async def scenario(bench: Bench) -> None:
        upstream, url = await served(bench, answering(answer(kind=b"Image/PNG; x=y")))
        fetched = await fetcher(bench).fetch(url)
        assert (fetched.media_type, fetched.body) == ("image/png", PNG)
        lines = upstream.requests[0].split(b"\r\n")
        assert lines[0] == b"GET /a.png?sig=s3cret HTTP/1.1"
        assert b"accept-encoding: identity" in lines
        assert not [line for line in lines if line.startswith((b"cookie", b"authorization", b"referer"))]

    run(scenario)


def test_connection_is_not_kept() -> None:
    async def scenario(bench: Bench) -> None:
        upstream, url = await served(bench, answering(answer()))
        await fetcher(bench).fetch(url)
        assert await settles(upstream.ended.is_set)

    run(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "inside.example"])
def test_nothing_is_asked_when_the_address_is_not_public(host: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, _ = await served(bench, answering(answer()))
        names = Names(inside=["127.0.0.1"])
        url = f"http://{host}:{upstream.port}/?k=s3cret"
        error = await refusal(fetcher(bench, names, allow=[]).fetch(url))
        assert "fetch.allow" in error.hint
        assert upstream.connections == 0

    run(scenario)


def test_one_private_address_among_public_ones_spoils_a_name() -> None:
    async def scenario(bench: Bench) -> None:
        names = Names(mixed=["8.8.8.8", "10.0.0.1"])
        error = await refusal(fetcher(bench, names).fetch("http://mixed.example/"))
        assert "mixed.example" in error.message
        assert "10.0.0.1" not in error.message

    run(scenario)


def test_connection_goes_to_the_address_that_was_checked_and_the_name_stays_the_host() -> None:
    async def scenario(bench: Bench) -> None:
        upstream, _ = await served(bench, answering(answer()))
        names = Names(files=["127.0.0.1"])
        await fetcher(bench, names).fetch(f"http://files.example:{upstream.port}/a.png")
        assert names.asked == ["files.example"]
        assert b"\r\nhost: files.example:%d\r\n" % upstream.port in upstream.requests[0]

    run(scenario)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Temp", b"308 Perm"])
def test_redirect_is_followed_and_looked_up_again(status: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, _ = await served(bench, answering(answer()))
        to = b"http://b.example:%d/real" % upstream.port
        first = await bench.upstream(answering(redirect(to, status)))
        names = Names(a=["127.0.0.1"], b=["127.0.0.1"])
        fetched = await fetcher(bench, names).fetch(f"http://a.example:{first.port}/")
        assert fetched.body == PNG
        assert names.asked == ["a.example", "b.example"]

    run(scenario)


@pytest.mark.parametrize(
    "location",
    [
        b"http://10.0.0.1/",
        b"http://169.254.169.254/latest/meta-data/",
        b"http://inside.example/",
        b"file:///etc/passwd",
        b"data:image/png;base64,AAAA",
        b"http://me:s3cret@a.example/",
    ],
)
def test_redirect_is_refused_when_its_goal_would_be(location: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        _, url = await served(bench, answering(redirect(location)))
        await refusal(fetcher(bench, Names(inside=["192.168.0.1"])).fetch(url))

    run(scenario)


def test_redirects_end() -> None:
    async def scenario(bench: Bench) -> None:
        upstream, url = await served(bench, answering(redirect(b"/again")))
        assert "redirects" in (await refusal(fetcher(bench).fetch(url))).message
        assert upstream.connections == 4

    run(scenario)


CHUNKS = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([answer(b"x" * 20_000)], id="said"),
        pytest.param([CHUNKS, *[b"1000\r\n" + b"x" * 4_096 + b"\r\n"] * 8, b"0\r\n\r\n"], id="unsaid"),
    ],
)
def test_file_is_refused_when_it_is_too_large(pieces: list[bytes]) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, url = await served(bench, answering(*pieces))
        error = await refusal(fetcher(bench).fetch(url))
        assert "10000 bytes" in error.message
        assert await settles(upstream.ended.is_set)

    run(scenario)


@pytest.mark.parametrize(
    "reply",
    [
        answer(kind=b"text/html"),
        answer(kind=b"application/octet-stream"),
        answer(kind=b""),
        answer(more=b"content-encoding: gzip\r\n"),
        answer(status=b"404 Not Found"),
        answer(status=b"206 Partial Content"),
        redirect(b""),
        b"not http\r\n\r\n",
        answer()[:-2],
    ],
)
def test_answer_is_refused_when_it_is_not_a_file_of_a_kind_that_is_sent(reply: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        _, url = await served(bench, answering(reply, close=True))
        assert "127.0.0.1" in (await refusal(fetcher(bench).fetch(url))).message

    run(scenario)


async def _silent(wire: Wire) -> None:
    await wire.request()
    await wire.stall()


async def _trickling(wire: Wire) -> None:
    await wire.request()
    await wire.send(answer(b"x" * 100)[:-100])
    await wire.trickle(b"x" * 100, pause_s=0.05)


@pytest.mark.parametrize("script", [_silent, _trickling])
def test_file_is_refused_when_it_is_too_slow(script: Script) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, url = await served(bench, script)
        began = time.monotonic()
        assert "in time" in (await refusal(fetcher(bench, timeout_s=0.2).fetch(url))).message
        assert time.monotonic() - began < 2.0
        assert await settles(upstream.ended.is_set)

    run(scenario)


def test_looking_up_a_name_counts_in_the_time() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    async def scenario(bench: Bench) -> None:
        slow = GuardedFetcher(
            bench.transport, SystemClock(), allow=[], max_bytes=10, timeout_s=0.1, resolver=never
        )
        assert "in time" in (await refusal(slow.fetch("http://a.example/"))).message

    run(scenario)


@pytest.mark.parametrize(
    "url", ["http://unknown.example/", "http://empty.example/", "http://127.0.0.1:1/", "http://127.0.0.1:0/"]
)
def test_file_is_refused_when_nobody_is_there(url: str) -> None:
    async def scenario(bench: Bench) -> None:
        await refusal(fetcher(bench, Names(empty=[])).fetch(url))

    run(scenario)


def test_caller_is_not_blamed_when_the_house_has_no_connection_left() -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(GatewayError) as caught:
            await fetcher(bench).fetch("http://127.0.0.1:9/")
        assert (caught.value.kind, caught.value.blame) == (ErrorKind.OVERLOADED, Blame.GATEWAY)

    Rig("http1-uvloop").run(scenario, limits=Limits(connections=0))


def test_data_url_needs_no_network() -> None:
    async def scenario(bench: Bench) -> None:
        fetched = await fetcher(bench).fetch("data:image/png;base64,iVBORw0KGgo=")
        assert (fetched.media_type, fetched.body) == ("image/png", PNG)

    run(scenario)


def test_names_are_asked_of_the_system_unless_told_otherwise() -> None:
    async def scenario(bench: Bench) -> None:
        upstream, _ = await served(bench, answering(answer()))
        plain = GuardedFetcher(
            bench.transport, SystemClock(), allow=[LOOPBACK, ip_network("::1")], max_bytes=100, timeout_s=5.0
        )
        assert (await plain.fetch(f"http://localhost:{upstream.port}/")).body == PNG
        await refusal(fetcher(bench, allow=[]).fetch(f"http://localhost:{upstream.port}/"))

    run(scenario)
