"""Tokens the house mints and keys it signs with are as secret as what it was given: an upstream that repeats them tells
nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from house import House
from tollhouse.testing import CanaryScanner

TOKEN = "minted-canary-Qm3xZ81kfLp7"
CLIENT_SECRET = "client-canary-7Hd82nXcPq0L"
AWS_SECRET = "aws/canary+K81mzQpXc72LfNv0"
AWS_SESSION = "session-canary-Zp93mQxL17vB"
SECRETS = {"token": TOKEN, "client": CLIENT_SECRET, "AWS key": AWS_SECRET, "AWS session": AWS_SESSION}


class Telltale(BaseHTTPRequestHandler):
    """Mints one token, and repeats everything secret in whatever way the caller's message says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/token"):
            self.answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3_600})
            return
        known = (AWS_SECRET, AWS_SESSION) if self.path.startswith("/model/") else (TOKEN, CLIENT_SECRET)
        said = f"refused: {self.headers['authorization']} {' '.join(known)}"
        error = {"error": {"message": said, "type": "server_error", "code": said}, "message": said}
        if b"in 200" in body:
            self.answer(200, error, known)
        elif b"in a stream" in body:
            chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}
            frames = "".join(f"data: {json.dumps(frame)}\n\n" for frame in (chunk, error))
            self.answer(200, frames.encode(), known, "text/event-stream")
        else:
            self.answer(500 if b"in 500" in body else 401, error, known)

    def answer(
        self, status: int, document: Any, known: Sequence[str] = (), kind: str = "application/json"
    ) -> None:
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        for name, secret in zip(("retry-after", "openai-version"), known, strict=False):
            self.send_header(name, secret)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def telltale() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Telltale) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def config(upstream: str) -> str:
    providers = {
        "azure": {
            "kind": "azure_openai",
            "base_url": upstream,
            "credential": "env:ENTRA",
            "api_version": "v1",
        },
        "aws": {"kind": "bedrock", "base_url": upstream, "credential": "env:AWS", "region": "eu-west-1"},
    }
    routes = {
        name: {"deployments": [{"provider": name, "model": "m"}], "retry": {"max_attempts": 1}}
        for name in providers
    }
    return json.dumps(
        {"version": 1, "server": {"listen": "127.0.0.1:0"}, "providers": providers, "routes": routes}
    )


def test_repeated_tokens_and_keys_reach_nobody(telltale: str, tmp_path: Path) -> None:
    entra = {"tenant_id": "t", "client_id": "c", "client_secret": CLIENT_SECRET, "authority": telltale}
    env = {"ENTRA": json.dumps(entra), "AWS": f"AKIDCANARY:{AWS_SECRET}:{AWS_SESSION}"}
    house = House(tmp_path, config(telltale), env)
    house.start()
    key = house.new_key("*")
    said: list[bytes] = []
    calls = [("azure", "in a stream", True)]
    calls += [
        (route, how, stream)
        for route in ("azure", "aws")
        for how in ("in 401", "in 500", "in 200")
        for stream in (False, True)
    ]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    for path in ("/v1/chat/completions", "/v1/messages", "/v2/chat"):
        for route, how, stream in calls:
            message = {"role": "user", "content": f"repeat it {how}"}
            body = {"model": route, "messages": [message], "stream": stream, "max_tokens": 9}
            _, sent, answer = house.call("POST", path, json.dumps(body).encode(), headers)
            assert b"***" in answer, "it was repeated, and taken out"
            said += [json.dumps(sent).encode(), answer]
    for command in (("requests", "--json"), ("doctor", "--json")):
        done = house.run(*command, check=False)
        said += [done.stdout.encode(), done.stderr.encode()]
    rows = house.book()
    assert len(rows) == 3 * len(calls)
    assert not [row for row in rows if row["outcome"] == "ok"]
    assert not [event for event in house.events() if event["event"] == "defect"]
    assert house.stop() == 0
    scanner = CanaryScanner(SECRETS)
    assert scanner.scan(b"\n".join(said)) == []
    assert scanner.scan_tree(tmp_path) == []
