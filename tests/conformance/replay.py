"""Serves one recorded answer at a time, whatever is asked, and remembers what was asked."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

HOP: Final = frozenset(
    {
        "content-length",
        "transfer-encoding",
        "connection",
        "content-encoding",
        "keep-alive",
        "date",
        "server",
        "set-cookie",
    }
)


def records(folder: Path, api: str) -> list[dict[str, Any]]:
    """All exchanges of one API."""
    path = folder / f"{api}.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Replay:
    """The server; a context manager. Set `record` before every call."""

    def __init__(self) -> None:
        self.record: dict[str, Any] = {}
        self.paths: list[str] = []
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

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Replay:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, http: BaseHTTPRequestHandler) -> None:
        _read_body(http)
        self.paths.append(http.path)
        record = self.record
        frames = frames_of(record)
        http.send_response(record["status"])
        headers = {name: value for name, value in record["response_headers"].items() if name not in HOP}
        headers.setdefault(
            "content-type", "text/event-stream" if record["response_kind"] == "sse" else "application/json"
        )
        for name, value in headers.items():
            http.send_header(name, value.encode("latin-1", "replace").decode("latin-1"))
        if not record.get("stream"):
            http.send_header("content-length", str(sum(map(len, frames))))
            http.end_headers()
            http.wfile.write(b"".join(frames))
            return
        http.send_header("transfer-encoding", "chunked")
        http.end_headers()
        for frame in filter(None, frames):
            http.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
        http.wfile.write(b"0\r\n\r\n")


def frames_of(record: dict[str, Any]) -> list[bytes]:
    """The recorded body, frame by frame."""
    if record.get("stream"):
        is_binary = record["stream_framing"] == "aws-eventstream"
        return [base64.b64decode(frame) if is_binary else frame.encode() for frame in record["stream"]]
    if record.get("response_body_b64"):
        return [base64.b64decode(record["response_body_b64"])]
    body = record["response_body"]
    return [
        body.encode() if record["response_kind"] == "text" else json.dumps(body, ensure_ascii=False).encode()
    ]


def _read_body(http: BaseHTTPRequestHandler) -> None:
    if "chunked" not in (http.headers.get("transfer-encoding") or "").lower():
        http.rfile.read(int(http.headers.get("content-length") or 0))
        return
    while size := int(http.rfile.readline().strip() or b"0", 16):
        http.rfile.read(size + 2)
    http.rfile.readline()
