"""What callers get wrong: a clear error in OpenAI's shape, nothing upstream, and a row in the book."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.core.ids import virtual_key_text
from tollhouse.testing import ScriptedUpstream

GOOD = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    config = config_text(
        upstream.base_url, server={"listen": "127.0.0.1:0", "max_body_bytes": 100_000, "drain_s": 2}
    )
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        yield house


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.new_key("gpt", "gone")


def refused(house: House, key: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    status, out, answer = house.call(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", **headers}
    )
    error = json.loads(answer)["error"]
    assert set(error) >= {"type", "code", "message", "param", "request_id", "source", "hint", "docs"}
    assert error["request_id"] == out["x-request-id"]
    assert error["message"]
    return status, error


BAD_BODIES = [
    (b"", 400, "invalid_request", None),
    (b"{", 400, "invalid_request", None),
    (b"[]", 400, "invalid_request", None),
    (b'"text"', 400, "invalid_request", None),
    (b"\xff\xfe{}", 400, "invalid_request", None),
    (b'{"model": "gpt", "messages": [{"role": "user", "content": "\xff"}]}', 400, "invalid_request", None),
    (json.dumps(GOOD).encode() + b"x", 400, "invalid_request", None),
    (b'{"messages": []}', 400, "invalid_request", "model"),
    (b'{"model": 7, "messages": []}', 400, "invalid_request", "model"),
    (b'{"model": "", "messages": []}', 400, "invalid_request", "model"),
    (b'{"model": "gpt"}', 400, "invalid_request", "messages"),
    (b'{"model": "gpt", "messages": "hi"}', 400, "invalid_request", "messages"),
    (json.dumps({**GOOD, "stream": "yes"}).encode(), 400, "invalid_request", "stream"),
    (b'{"model": "gpt", "model": "text", "messages": []}', 400, "invalid_request", "model"),
    (json.dumps({**GOOD, "model": "gone"}).encode(), 404, "route_not_found", "model"),
    (json.dumps({**GOOD, "model": "text"}).encode(), 403, "forbidden", "model"),
    (b"[" * 100_000, 400, "invalid_request", None),
]


@pytest.mark.parametrize(("body", "status", "code", "param"), BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_bad_body_is_told_what_is_wrong(
    house: House, key: str, upstream: ScriptedUpstream, body: bytes, status: int, code: str, param: str | None
) -> None:
    before = upstream.count
    found, error = refused(house, key, body)
    assert (found, error["code"], error["param"], error["source"]) == (status, code, param, "gateway")
    assert upstream.count == before


@pytest.mark.parametrize("size", [100_001, 5_000_000])
def test_oversize_body_is_refused_and_the_caller_can_read_why(house: House, key: str, size: int) -> None:
    status, error = refused(house, key, b'{"model": "gpt", "x": "' + b"x" * size + b'"}')
    assert (status, error["code"]) == (400, "invalid_request")
    assert "100000 bytes" in error["message"]


def test_compressed_body_is_refused_with_what_to_send(house: House, key: str) -> None:
    status, error = refused(
        house, key, gzip.compress(json.dumps(GOOD).encode()), **{"content-encoding": "gzip"}
    )
    assert (status, error["code"], error["param"]) == (400, "invalid_request", "content-encoding")
    assert "uncompressed" in error["hint"]


@pytest.mark.parametrize("bad", ["sk-th-short", virtual_key_text(bytes(32)), "sk-proj-mine", "x" * 600])
def test_unknown_or_malformed_key_is_refused(house: House, bad: str) -> None:
    status, error = refused(house, bad, json.dumps(GOOD).encode())
    assert (status, error["code"]) == (401, "unauthenticated")
    assert bad not in json.dumps(error)


def test_revoked_key_is_refused_from_the_next_call_on(house: House) -> None:
    created = house.new_key_with_id("gpt")
    assert house.chat(created["key"])[0] == 200
    house.run("keys", "revoke", created["id"])
    status, error = refused(house, created["key"], json.dumps(GOOD).encode())
    assert (status, error["code"]) == (401, "unauthenticated")
    assert "revoked" in error["message"]


def raw(house: House, request: bytes) -> bytes:
    """Whatever comes back for bytes that no client library would send."""
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as end:
        end.sendall(request)
        answer = b""
        while data := end.recv(65_536):
            answer += data
        return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nbad\x00name: x\r\n\r\n",
        b"NOT HTTP AT ALL\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["nul", "garbage", "negative", "smuggled", "endless"],
)
def test_bytes_that_are_no_request_get_an_error_and_a_row(
    house: House, upstream: ScriptedUpstream, request_bytes: bytes
) -> None:
    before = upstream.count
    head, _, body = raw(house, request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    error = json.loads(body)["error"]
    assert error["code"] == "invalid_request"
    assert upstream.count == before
    row = next(row for row in house.book() if row["id"] == error["request_id"])
    assert (row["outcome"], row["status"], row["operation"]) == ("denied", 400, "unknown")


def test_unknown_path_and_wrong_method_are_told(house: House) -> None:
    status, _, body = house.call("GET", "/v1/nothing")
    assert (status, json.loads(body)["error"]["code"]) == (404, "route_not_found")
    status, _, body = house.call("GET", "/v1/chat/completions")
    assert status == 400
    assert "POST" in json.loads(body)["error"]["hint"]


def test_every_refusal_stands_in_the_book(house: House, key: str) -> None:
    _, error = refused(house, key, b"{")
    _, denied = refused(house, "sk-th-short", b"{}")
    rows = {row["id"]: row for row in house.book()}
    assert rows[error["request_id"]]["outcome"] == "denied"
    assert rows[error["request_id"]]["key_name"] == "test"
    assert rows[denied["request_id"]]["error"] == "unauthenticated"
    assert rows[denied["request_id"]]["key_id"] is None
    assert rows[denied["request_id"]]["attempts"] == []
