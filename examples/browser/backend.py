"""A back end whose page calls a model: it holds the virtual key, and gives the page tokens that last for minutes.

Standard library only. Run with TOLLHOUSE_KEY in the environment; README.md beside this file has the commands.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GATEWAY = os.environ.get("TOLLHOUSE_URL", "http://127.0.0.1:8080")
PORT = int(os.environ.get("PORT", "8090"))
ORIGIN = os.environ.get("APP_ORIGIN", f"http://127.0.0.1:{PORT}")
"""Where the page is, as its browser says it."""
MODEL = os.environ.get("MODEL", "mock-chat")
PAGE = Path(__file__).with_name("page.html")

WISH = {"routes": [MODEL], "origins": [ORIGIN], "expires_s": 300, "max_usd": 0.05, "max_calls": 5}
WISH |= json.loads(os.environ.get("TOKEN_WISH", "{}"))
"""What a page may do with one token."""


def mint(end_user: str) -> tuple[int, bytes]:
    """A token of the gateway, as its answer; the virtual key goes there and nowhere else."""
    request = urllib.request.Request(
        f"{GATEWAY}/v1/client_tokens",
        json.dumps(WISH | {"end_user": end_user}).encode(),
        {"authorization": f"Bearer {os.environ['TOLLHOUSE_KEY']}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            minted = json.load(answer)
    except urllib.error.HTTPError as refusal:
        return 502, refusal.read()
    token = {name: minted[name] for name in ("token", "expires_at")}
    return 200, json.dumps(token | {"gateway": GATEWAY, "model": MODEL}).encode()


class App(BaseHTTPRequestHandler):
    """The page at `/`, and a token for it at `/token`."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, PAGE.read_bytes(), "text/html; charset=utf-8")
        else:
            self.answer(404, b"not here\n")

    def do_POST(self) -> None:
        # Here your application looks who is signed in, and refuses whoever is not. This one has no accounts: it only
        # sees to it that no other site's page asks in a visitor's name.
        if self.path != "/token" or self.headers.get("origin") != ORIGIN:
            self.answer(403, b'{"error": {"message": "Tokens are for this application\'s own page."}}')
            return
        self.answer(*mint(end_user="visitor"))

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if not os.environ.get("TOLLHOUSE_KEY", "").startswith("sk-th-"):
        raise SystemExit("Put a virtual key into TOLLHOUSE_KEY first; `make demo` shows one.")
    with ThreadingHTTPServer(("127.0.0.1", PORT), App) as server:
        print(f"The page is at {ORIGIN}/", flush=True)
        server.serve_forever()
