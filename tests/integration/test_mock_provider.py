"""The mock provider over real sockets: what clients meet, what the server remembers, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import Any

import openai
import pytest
import uvloop

from tollhouse.adapters.mock_server import MockServer
from tollhouse.adapters.mock_server import connection as connection_module
from tollhouse.adapters.mock_server import memory as memory_module
from tollhouse.adapters.mock_server.memory import Memory
from tollhouse.providers.mock.received import Fate, Received
from tollhouse.providers.mock.script import Fault, Script
from tollhouse.testing import AsyncScriptedUpstream, ScriptedUpstream, ScriptRefused

Scene = Callable[[MockServer], Coroutine[Any, Any, None]]
LOOPS: list[Any] = [uvloop.new_event_loop, asyncio.new_event_loop]


def perform(scene: Scene, loop: Any = uvloop.new_event_loop, **options: Any) -> None:
    """Run a scene against a server, and see that the server leaves nothing on the loop."""

    async def run() -> None:
        before = asyncio.all_tasks()
        async with MockServer(**options) as server:
            await scene(server)
        assert asyncio.all_tasks() == before
        assert server.open_connections == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(run(), 60))


def chat(model: str = "mock-chat", **fields: Any) -> bytes:
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "one two"}]} | fields
    ).encode()


def post(
    body: bytes, path: str = "/v1/chat/completions", *, headers: str = "", method: str = "POST"
) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nhost: mock\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode()
        + body
    )


class Client:
    """A connection that tells apart how it ended."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, server: MockServer) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", server.port))

    async def ask(self, request: bytes) -> tuple[int, Any]:
        """One unary exchange; the connection lives on."""
        self.writer.write(request)
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), json.loads(await self.reader.readexactly(length))

    async def all(self, request: bytes = b"") -> tuple[bytes, str]:
        """Everything until the connection ends, and how it ended."""
        self.writer.write(request)
        got = bytearray()
        try:
            while piece := await asyncio.wait_for(self.reader.read(65536), 30):
                got += piece
        except ConnectionResetError:
            return bytes(got), "reset"
        finally:
            await self.close()
        return bytes(got), "end"

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        shared = self.writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(shared.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def tell(server: MockServer, request: bytes) -> tuple[bytes, str]:
    client = await Client.open(server)
    return await client.all(request)


CLOSING = "connection: close\r\n"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("script", "end", "said"),
    [
        ({}, "end", b"Mock answer"),
        ({"fault": "reset"}, "reset", b""),
        ({"fault": "close"}, "end", b""),
        ({"fault": "stall", "stall_s": 0.02}, "end", b""),
        ({"fault": "garbage"}, "end", b"\x16\x03"),
        ({"fault": "cut"}, "end", b'"choices"'),
        ({"fault": "reset_midway"}, "reset", b'"choices"'),
        ({"fault": "stall_midway", "stall_s": 0.02}, "end", b'"choices"'),
        ({"fault": "trickle"}, "end", b"Mock answer"),
    ],
)
def test_connection_ends_as_the_script_says(loop: Any, script: dict[str, Any], end: str, said: bytes):
    async def scene(server: MockServer) -> None:
        got, how = await tell(server, post(chat(mock=script), headers=CLOSING))
        assert how == end
        if how == "end":  # a reset may overtake what was sent before it
            assert said in got
        if not said:
            assert got == b""
        record = await server.wait_ended()
        assert record.fate is (Fate.ANSWERED if script.get("fault") in (None, "trickle") else Fate.CUT)

    perform(scene, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_connects_are_refused_for_a_while_and_then_taken_on_the_same_port(loop: Any):
    async def scene(server: MockServer) -> None:
        port = server.port
        got, how = await tell(server, post(chat(mock={"fault": "refuse", "refuse_s": 1})))
        assert (got, how) == (b"", "reset")
        with pytest.raises(ConnectionRefusedError):
            await Client.open(server)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        deadline = time.monotonic() + 10
        while True:
            try:
                client = await Client.open(server)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        assert (await client.ask(post(chat())))[0] == 200
        assert server.port == port
        await client.close()

    perform(scene, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_living_connections_are_served_while_new_ones_are_refused(loop: Any):
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        assert (await client.ask(post(chat())))[0] == 200
        await tell(server, post(chat(mock={"fault": "refuse", "refuse_s": 60})))
        assert (await client.ask(post(chat())))[0] == 200
        await client.close()

    perform(scene, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("when", ["stalled", "streaming"])
def test_server_sees_that_its_client_went(loop: Any, leave: str, when: str):
    scripts = {"stalled": {"fault": "stall"}, "streaming": {"chunks": 1000, "chunk_delay_s": 0.05}}

    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        client.writer.write(post(chat(stream=True, mock=scripts[when])))
        if when == "streaming":
            await client.reader.readuntil(b'"content":"Mock "')
        await server.wait_received(1)
        assert server.received[0].closed_at is None
        gone_at = time.monotonic()
        if leave == "reset":
            client.reset()
        else:
            await client.close()
        record = await server.wait_closed()
        assert record is server.received[0]
        assert record.fate is Fate.CLIENT_GONE
        assert record.closed_at is not None
        assert 0 <= record.closed_at - gone_at < 5

    perform(scene, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_client_that_does_not_read_holds_a_stream_back(loop: Any):
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        client.writer.transport.pause_reading()
        client.writer.write(
            post(chat(stream=True, mock={"chunks": 1000, "chunk_bytes": 16384}), headers=CLOSING)
        )
        await server.wait_received(1)
        await asyncio.sleep(0.1)
        assert server.received[0].fate is Fate.OPEN
        client.writer.transport.resume_reading()
        got, how = await client.all()
        assert how == "end"
        assert len(got) > 1000 * 16384
        assert b"[DONE]" in got
        assert (await server.wait_ended()).fate is Fate.ANSWERED

    perform(scene, loop)


def test_stop_cuts_what_is_open_and_tells_it():
    records: list[Received] = []

    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        client.writer.write(post(chat(mock={"fault": "stall"})))
        await server.wait_received(1)
        records.extend(server.received)
        waiting = asyncio.create_task(client.all())
        await server.stop()
        assert (await waiting)[0] == b""

    perform(scene)
    assert records[0].fate is Fate.STOPPED
    assert records[0].closed_at is not None


def test_stop_gives_the_port_up_even_while_it_refuses():
    ports: list[int] = []

    async def scene(server: MockServer) -> None:
        ports.append(server.port)
        await tell(server, post(chat(mock={"fault": "refuse", "refuse_s": 60})))

    perform(scene)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", ports[0]))
        other.listen()
        assert other.getsockname()[1] == ports[0]


def test_start_fails_when_somebody_listens_there():
    async def scene(server: MockServer) -> None:
        with pytest.raises(OSError, match="in use"):
            await MockServer(port=server.port).start()

    perform(scene)


def test_connection_is_kept_and_requests_sent_ahead_are_answered_in_order():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        bodies = [chat(mock_id=number, mock={"delay_s": 0.01 * (3 - number)}) for number in range(3)]
        client.writer.write(b"".join(map(post, bodies)))
        ids = [(await client.ask(b""))[1]["id"] for _ in range(3)]
        assert ids == ["chatcmpl-mock-1", "chatcmpl-mock-2", "chatcmpl-mock-3"]
        assert [record.mock_id for record in server.received] == [0, 1, 2]
        assert {record.connection for record in server.received} == {1}
        await client.close()
        await server.wait_closed()
        assert [record.closed_at is None for record in server.received] == [True, True, False]

    perform(scene)


def test_connection_is_closed_when_too_much_is_sent_ahead():
    async def scene(server: MockServer) -> None:
        many = connection_module.MAX_PIPELINED + 5
        got, _ = await tell(server, post(chat(mock={"fault": "stall"})) + post(chat()) * many)
        assert server.count <= 1
        assert b"Mock answer" not in got

    perform(scene)


def test_request_is_remembered_as_it_came():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        body = chat(user="u-1", mock_id="m-1")
        await client.ask(post(body, headers="X-One: a\r\nx-one: b\r\nAuthorization: Bearer k\r\n"))
        (record,) = server.received
        assert (record.method, record.path, record.body) == ("POST", "/v1/chat/completions", body)
        assert (record.headers["x-one"], record.headers["authorization"]) == ("a, b", "Bearer k")
        assert (record.user, record.mock_id, record.number, record.connection) == ("u-1", "m-1", 1, 1)
        assert record.json()["model"] == "mock-chat"
        assert record.script == Script()
        await client.close()

    perform(scene)


def test_key_is_demanded_in_openais_way_when_one_is_set():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        for header in ("", "authorization: Bearer wrong\r\n", "authorization: secret-key\r\n"):
            status, answer = await client.ask(post(chat(), headers=header))
            assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
            assert "wrong" not in json.dumps(answer)
        assert (await client.ask(post(chat(), headers="authorization: Bearer secret-key\r\n")))[0] == 200
        server.require_key = None
        assert (await client.ask(post(chat())))[0] == 200
        assert [record.script for record in server.received[:3]] == [None, None, None]
        await client.close()

    perform(scene, require_key="secret-key")


def test_script_of_the_test_comes_before_that_of_the_request():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        own = chat(mock={"status": 418})
        server.script(Script(status=500))
        server.script(Script(status=501))
        server.always(Script(status=502))
        assert [(await client.ask(post(own)))[0] for _ in range(4)] == [500, 501, 502, 502]
        server.forget_scripts()
        assert (await client.ask(post(own)))[0] == 418
        header = 'x-mock-script: {"status": 419}\r\n'
        assert (await client.ask(post(own, headers=header)))[0] == 419
        assert (await client.ask(post(chat("mock-chat@status=420"))))[0] == 420
        await client.close()

    perform(scene)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (chat(mock={"fualt": "cut"}), ""),
        (chat(), "x-mock-script: {\r\n"),
        (chat("mock-chat@fualt=cut"), ""),
    ],
)
def test_script_nobody_can_perform_is_a_clear_client_error(body: bytes, header: str):
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        status, answer = await client.ask(post(body, headers=header))
        assert (status, answer["error"]["param"]) == (400, "mock")
        assert "script" in answer["error"]["message"]
        await client.close()

    perform(scene)


def test_other_processes_steer_the_mock_over_http():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)

        async def control(door: str, body: object = None, method: str = "POST") -> tuple[int, Any]:
            return await client.ask(post(json.dumps(body).encode(), f"/_mock/{door}", method=method))

        assert await control("script", [{"status": 500}, {"status": 501}]) == (200, {"queued": 2})
        assert await control("script", {"status": 502}) == (200, {"queued": 1})
        statuses = [(await client.ask(post(chat(mock_id=number, user="u"))))[0] for number in range(3)]
        assert statuses == [500, 501, 502]
        assert await control("always", {"status": 503}) == (200, {"always": True})
        assert (await client.ask(post(chat())))[0] == 503
        assert await control("always") == (200, {"always": False})
        assert (await client.ask(post(chat())))[0] == 200

        status, told = await control("calls", method="GET")
        assert (status, told["count"]) == (200, 5)
        assert [call.get("mock_id") for call in told["calls"]] == [0, 1, 2, None, None]
        assert told["calls"][0] == {
            "number": 1,
            "connection": 1,
            "method": "POST",
            "path": "/v1/chat/completions",
            "fate": "answered",
            "mock_id": 0,
            "user": "u",
        }
        await control("script", {"status": 500})
        assert await control("reset") == (200, {"count": 0})
        assert (await client.ask(post(chat())))[1]["id"] == "chatcmpl-mock-1"
        await client.close()

    perform(scene)


@pytest.mark.parametrize(
    ("door", "body", "status"),
    [("script", b'{"x": 1}', 400), ("script", b"{", 400), ("always", b"3", 400), ("nothing", b"", 404)],
)
def test_control_is_refused_with_a_reason_when_it_makes_no_sense(door: str, body: bytes, status: int):
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        got, answer = await client.ask(post(body, f"/_mock/{door}"))
        assert got == status
        assert answer["error"]["message"]
        assert server.count == 0
        await client.close()

    perform(scene)


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", b"400"),
        (b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * (300 * 1024) + b"\r\n\r\n", b"431"),
        (b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"400"),
    ],
)
def test_bytes_that_are_no_request_get_an_error_and_the_end(wire: bytes, status: bytes):
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        client.writer.write(wire)
        assert (await asyncio.wait_for(client.reader.readline(), 10)).split()[1] == status
        await client.close()
        assert server.count == 0

    perform(scene)


def test_body_beyond_the_bound_is_refused():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        block = b"x" * (1024 * 1024)
        size = connection_module.MAX_BODY_BYTES + len(block)
        client.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
        )

        async def pour() -> None:
            try:
                for _ in range(size // len(block)):
                    client.writer.write(block)
                    await client.writer.drain()
            except ConnectionError:
                return  # the refusal may come before the last byte

        pouring = asyncio.create_task(pour())
        try:
            line = await asyncio.wait_for(client.reader.readline(), 30)
        except ConnectionResetError:
            line = b"reset 413"  # the kernel may drop an answer whose request was not read to its end
        assert line.split()[1] == b"413"
        await pouring
        await client.close()
        assert server.count == 0

    perform(scene)


def test_client_that_asks_first_is_told_to_go_on():
    async def scene(server: MockServer) -> None:
        client = await Client.open(server)
        head, body = post(chat(), headers="expect: 100-continue\r\n").split(b"\r\n\r\n", 1)
        client.writer.write(head + b"\r\n\r\n")
        assert (
            await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)
            == b"HTTP/1.1 100 Continue\r\n\r\n"
        )
        assert (await client.ask(body))[0] == 200
        await client.close()

    perform(scene)


def test_memory_forgets_the_oldest_beyond_its_bounds_and_still_counts_them():
    def record(body: bytes = b"") -> Received:
        return Received(number=1, connection=1, method="POST", path="/", headers={}, body=body, at=0.0)

    memory = Memory()
    for _ in range(memory_module.MAX_RECORDS + 3):
        memory.add(record())
    assert (len(memory.records), memory.count) == (memory_module.MAX_RECORDS, memory_module.MAX_RECORDS + 3)

    large = bytes(memory_module.MAX_RECORDED_BYTES // 2)
    memory = Memory()
    for _ in range(5):
        memory.add(record(large))
    assert (len(memory.records), memory.count) == (2, 5)


def test_waiting_ends_with_a_sentence_when_nothing_comes():
    async def scene(server: MockServer) -> None:
        with pytest.raises(TimeoutError, match="in vain for 1 calls; it has 0"):
            await server.wait_received(1, timeout_s=0.05)
        with pytest.raises(TimeoutError, match=r"received\[3\]"):
            await server.wait_closed(3, timeout_s=0.05)

    perform(scene)


def test_queue_of_scripts_is_bounded():
    async def scene(server: MockServer) -> None:
        for _ in range(100_000):
            server.script(Script())
        with pytest.raises(ValueError, match="100000 scripts"):
            server.script(Script())

    perform(scene)


def test_ten_thousand_chunks_go_out_quickly():
    async def scene(server: MockServer) -> None:
        started = time.monotonic()
        got, how = await tell(server, post(chat(stream=True, mock={"chunks": 10_000}), headers=CLOSING))
        assert how == "end"
        assert got.count(b"data: {") == 10_002
        assert time.monotonic() - started < 20

    perform(scene)


# The public kit


@contextmanager
def sdk(upstream: ScriptedUpstream, key: str = "key") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=upstream.base_url, api_key=key, max_retries=0) as client:
        yield client


MESSAGES: Any = [{"role": "user", "content": "hello there"}]


def test_official_sdk_finds_everything_where_it_expects_it():
    with ScriptedUpstream(require_key="key") as upstream, sdk(upstream) as client:
        answer = client.chat.completions.create(model="mock-chat", messages=MESSAGES)
        assert answer.choices[0].message.content == "Mock answer to: hello there"
        assert answer.usage is not None
        assert answer.usage.total_tokens == 7

        stream = client.chat.completions.create(
            model="mock-chat", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said == "Mock answer to: hello there"
        assert chunks[-1].usage == answer.usage

        assert (
            client.completions.create(model="mock-completion", prompt="x y").choices[0].text.endswith("x y")
        )
        vector = client.embeddings.create(model="mock-embedding", input="x", dimensions=4).data[0].embedding
        assert len(vector) == 4
        assert next(iter(client.models.list())).id == "mock-chat"
        assert {record.headers["authorization"] for record in upstream.received} == {"Bearer key"}


def test_official_sdk_raises_what_the_script_says():
    with ScriptedUpstream() as upstream, sdk(upstream) as client:
        upstream.script(status=429, retry_after_s=7, message="slow down")
        with pytest.raises(openai.RateLimitError, match="slow down") as limited:
            client.chat.completions.create(model="m", messages=MESSAGES)
        assert limited.value.response.headers["retry-after"] == "7"
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(
                model="m", messages=MESSAGES, extra_body={"mock": {"fault": "reset"}}
            )
        upstream.always(fault="cut")
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=MESSAGES)
        upstream.forget_scripts()
        upstream.require_key("other")
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="m", messages=MESSAGES)
        assert upstream.count == 4
        assert [record.script and record.script.fault for record in upstream.received] == [
            None,
            Fault.RESET,
            Fault.CUT,
            None,
        ]


def test_upstream_on_a_thread_sees_its_client_go():
    with ScriptedUpstream() as upstream:
        upstream.script(fault="stall")
        client = HTTPConnection("127.0.0.1", upstream.port, timeout=10)
        client.request("POST", "/v1/chat/completions", chat())
        upstream.wait_received(1)
        assert upstream.open_connections == 1
        client.close()
        assert upstream.wait_closed().fate is Fate.CLIENT_GONE
        assert upstream.wait_ended(0) is upstream.received[0]
        upstream.reset()
        assert (upstream.count, upstream.received) == (0, ())


def test_upstream_takes_scripts_before_it_starts_and_tells_calls_after_it_ended():
    upstream = ScriptedUpstream()
    upstream.script(status=500)
    with upstream:
        client = HTTPConnection("127.0.0.1", upstream.port, timeout=10)
        client.request("POST", "/v1/chat/completions", chat())
        assert client.getresponse().status == 500
        client.close()
        assert upstream.url == upstream.base_url.removesuffix("/v1")
    assert [record.fate for record in upstream.received] == [Fate.ANSWERED]


def test_script_is_refused_where_it_is_written_when_it_does_not_fit():
    with ScriptedUpstream() as upstream:
        with pytest.raises(ScriptRefused, match="fualt"):
            upstream.script(fualt="cut")
        with pytest.raises(ScriptRefused, match="status"):
            upstream.always(status=3)


def test_upstream_on_a_taken_port_fails_and_leaves_no_thread():
    with ScriptedUpstream() as first:
        second = ScriptedUpstream(port=first.port)
        with pytest.raises(OSError, match="in use"):
            second.__enter__()
        assert not second._thread.is_alive()


def test_upstream_lives_on_the_loop_of_an_async_test():
    async def run() -> None:
        async with AsyncScriptedUpstream(host="::1") as upstream:
            upstream.script(fault="stall")
            upstream.always(status=500)
            assert upstream.base_url == f"http://[::1]:{upstream.port}/v1"
            _, writer = await asyncio.open_connection("::1", upstream.port)
            writer.write(post(chat()))
            await upstream.wait_received(1)
            assert (upstream.count, upstream.open_connections) == (1, 1)
            writer.close()
            await writer.wait_closed()
            assert await upstream.wait_closed(0) is await upstream.wait_ended(0) is upstream.received[0]
            upstream.forget_scripts()
            upstream.require_key("k")
            upstream.reset()
            assert upstream.url.endswith(str(upstream.port))
            assert upstream.count == 0

    uvloop.run(asyncio.wait_for(run(), 30))
