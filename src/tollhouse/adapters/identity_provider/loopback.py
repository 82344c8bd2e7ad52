"""Where a browser comes back to after somebody has said yes at the identity provider: this machine, for a moment.

RFC 8252, 7.3. One answer is taken, the one with the state that was given along; whatever else comes is sent away and
changes nothing. Nobody is ever sent on from here.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

PATH: Final = "/callback"
_PATIENCE_S: Final = 5.0
"""With each that connects."""
_DONE: Final = b"<!doctype html><title>Tollhouse</title><p>This is all: go back to your terminal.</p>\n"
_NOT_YOURS: Final = b"This is not the answer that is waited for.\n"


class Loopback:
    """Listens inside the block."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._answer: Mapping[str, str] | None = None

    def __enter__(self) -> Self:
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def wait(self, patience_s: float) -> Mapping[str, str] | None:
        """The parameters of the answer; None where there was none in time."""
        end = time.monotonic() + patience_s
        while self._answer is None and (rest := end - time.monotonic()) > 0:
            self._server.timeout = rest
            self._server.handle_request()
        return self._answer

    def _take(self, target: str) -> bool:
        url = urlsplit(target)
        pairs = parse_qsl(url.query, keep_blank_values=True, max_num_fields=20)
        answer = dict(pairs)
        is_ours = (
            url.path == PATH
            and self._answer is None
            and len(answer) == len(pairs)
            and hmac.compare_digest(answer.get("state", "").encode(), self._state.encode())
        )
        if is_ours:
            self._answer = answer
        return is_ours

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE_S

            def do_GET(self) -> None:
                try:
                    is_ours = take(self.path)
                except ValueError:
                    is_ours = False
                body = _DONE if is_ours else _NOT_YOURS
                self.send_response(200 if is_ours else 400)
                self.send_header("content-type", "text/html; charset=utf-8" if is_ours else "text/plain")
                self.send_header("content-length", str(len(body)))
                self.send_header("cache-control", "no-store")
                self.send_header("referrer-policy", "no-referrer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """A code stands in the address: it is written nowhere."""

        return Handler
