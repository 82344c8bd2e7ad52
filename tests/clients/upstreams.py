"""Providers on loopback: one server that speaks one wire API, and is as strict as the provider is."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, Final

from clients import strict_upstreams
from clients.answers import MARK, RETRY_AFTER_S, Refusal, play
from clients.history import Asked
from clients.speech import (
    anthropic_messages,
    bedrock_converse,
    cohere_chat,
    gemini_generate,
    openai_chat,
    openai_responses,
)
from house import PROVIDER_KEY

SPEECH: Final[dict[str, ModuleType]] = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic_messages": anthropic_messages,
    "gemini_generate": gemini_generate,
    "bedrock_converse": bedrock_converse,
    "cohere_chat": cohere_chat,
}
UPSTREAMS: Final = tuple(SPEECH)

_SIGNED: Final[dict[str, Callable[[Asked, str, strict_upstreams.Losses], str | None]]] = {
    "openai_responses": strict_upstreams.responses_fault,
    "anthropic_messages": strict_upstreams.claude_fault,
    "bedrock_converse": strict_upstreams.claude_fault,
    "gemini_generate": strict_upstreams.gemini_fault,
}
_NUMBERS: Final = itertools.count(1)
_SLICE_BYTES: Final = 173
"""Streams are written in slices that respect neither frames nor letters."""


class Upstream:
    """A provider that speaks `dialect`; a context manager."""

    def __init__(self, dialect: str, port: int = 0) -> None:
        self.dialect = dialect
        self.speech = SPEECH[dialect]
        self.refusals: list[str] = []
        """What it had to find fault with: should be empty after every test."""
        self.losses = strict_upstreams.Losses()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.reframe: Callable[[list[bytes]], list[bytes]] = list
        """What becomes of the frames of a stream before they are written."""
        self.stall_s = 0.0
        """How long a stream that breaks off is silent before."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                outer._serve(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # somebody hung up

        self._server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Upstream:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Begin a new test."""
        self.refusals.clear()
        self.losses.found.clear()
        self.requests.clear()
        self.reframe = list
        self.stall_s = 0.0

    def model(self, scenario: str) -> str:
        """The name under which its model plays a scenario, in a conversation that nobody has had before."""
        return f"{self.speech.MODEL}{MARK}{scenario}.{next(_NUMBERS)}"

    # -- one request

    def _serve(self, http: BaseHTTPRequestHandler) -> None:
        raw = _body_of(http)
        try:
            status, answer = self._answer(http, raw)
        except Exception as error:  # a request the reader chokes on is a fault of the sender
            status, answer = self._refuse(f"cannot read {raw[:2000]!r}: {type(error).__name__}: {error}")
        if isinstance(answer, dict):
            headers = {"retry-after": str(RETRY_AFTER_S)} if status == 429 else {}
            _write_whole(http, status, headers, json.dumps(answer, ensure_ascii=False).encode())
        else:
            played, model = answer
            frames = self.reframe(self.speech.frames(played, model))
            stall_s = self.stall_s if played.is_cut else 0.0
            _write_stream(http, self.speech.CONTENT_TYPE, frames, is_cut=played.is_cut, stall_s=stall_s)

    def _answer(self, http: BaseHTTPRequestHandler, raw: bytes) -> tuple[int, Any]:
        path = http.path.partition("?")[0]
        if not self.speech.is_mine(path):
            return self._refuse(f"no such endpoint: {path}", status=404)
        if PROVIDER_KEY not in str(http.headers):
            return self._refuse("the provider's key is missing", status=401)
        body = json.loads(raw)
        self.requests.append((path, body))
        asked: Asked = self.speech.read(path, body)
        name, mark, scenario = asked.model.rpartition(MARK)
        if name != self.speech.MODEL or not mark:
            return self._refuse(f"no such model: {asked.model}", status=404)
        played = play(scenario, asked.turn)
        if isinstance(played, Refusal):
            status, document = self.speech.refuse(played)
            return status, document
        fault = self._fault(asked, scenario)
        if fault:
            return self._refuse(fault)
        if asked.is_stream:
            return 200, (played, asked.model)
        return 200, self.speech.whole(played, asked.model)

    def _fault(self, asked: Asked, scenario: str) -> str | None:
        check = _SIGNED.get(self.dialect)
        return (
            strict_upstreams.pairing_fault(asked)
            or strict_upstreams.history_fault(asked, scenario)
            or (check(asked, scenario, self.losses) if check else None)
        )

    def _refuse(self, message: str, status: int = 400) -> tuple[int, Any]:
        self.refusals.append(message)
        return status, self.speech.fault(message)[1]


def _body_of(http: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in (http.headers.get("transfer-encoding") or "").lower():
        return http.rfile.read(int(http.headers.get("content-length") or 0))
    out = b""
    while size := int(http.rfile.readline().strip() or b"0", 16):
        out += http.rfile.read(size)
        http.rfile.readline()
    http.rfile.readline()
    return out


def _write_whole(http: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    http.send_response(status)
    for name, value in {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **headers,
    }.items():
        http.send_header(name, value)
    http.end_headers()
    http.wfile.write(body)


def _write_stream(
    http: BaseHTTPRequestHandler, kind: str, frames: list[bytes], *, is_cut: bool, stall_s: float = 0.0
) -> None:
    http.send_response(200)
    http.send_header("content-type", kind)
    http.send_header("transfer-encoding", "chunked")
    http.end_headers()
    body = b"".join(frames)
    for at in range(0, len(body), _SLICE_BYTES):
        piece = body[at : at + _SLICE_BYTES]
        http.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    if is_cut:
        time.sleep(stall_s)
        http.close_connection = True
        with contextlib.suppress(OSError):
            http.connection.shutdown(socket.SHUT_RDWR)
    else:
        http.wfile.write(b"0\r\n\r\n")


def main() -> None:
    """`python -m clients.upstreams DIALECT PORT`: a provider that stays open and tells what it finds fault with."""
    dialect, port = sys.argv[1], int(sys.argv[2])
    with Upstream(dialect, port) as upstream:
        print(
            f"{upstream.url} speaks {dialect}; models {upstream.speech.MODEL}{MARK}SCENARIO; its key is {PROVIDER_KEY}"
        )
        told = 0
        while True:
            time.sleep(0.2)
            for refusal in upstream.refusals[told:]:
                print("refused:", refusal)
            told = len(upstream.refusals)


if __name__ == "__main__":
    main()
