"""Secret managers as the house meets them: HTTP servers on loopback that answer in the words of the real ones."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """One request; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


Given = tuple[int, Any]
"""Status and JSON document."""


class HttpDouble:
    """A server on a thread of its own, entered with `with`. `delay_s` makes it slow, `status` makes it fail."""

    def __init__(self, answer: Callable[[Asked], Given]) -> None:
        self.asked: list[Asked] = []
        self.delay_s = 0.0
        self.status: int | None = None
        self._answer = answer
        self._closing = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                double.handle(self)

            do_GET = do_POST = handle_one

            def log_message(self, *_: object) -> None:
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.command, parts.path, parse_qs(parts.query), headers, body)
        self.asked.append(asked)
        self._closing.wait(self.delay_s)
        status, document = (self.status, {"errors": ["failing"]}) if self.status else self._answer(asked)
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        try:
            request.send_response(status)
            request.send_header("content-type", "application/json")
            request.send_header("content-length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        except OSError:
            pass  # whoever asked has not waited

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on nobody listens at the address."""
        self._closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class VaultDouble(HttpDouble):
    """Vault's key-value engine of version 2, with tokens, AppRole and Kubernetes logins."""

    TOKEN = "hvs.canary-5Tq8wZ2kLm9Xr4Vb"

    def __init__(self, **secrets: Mapping[str, Any]) -> None:
        super().__init__(self._vault)
        self.secrets: dict[str, Mapping[str, Any] | None] = {
            path.replace("__", "/"): fields for path, fields in secrets.items()
        }
        """By path as the API has it, without `data`; None where the newest version was deleted."""
        self.namespace: str | None = None
        self.tokens = {self.TOKEN}
        self.logins: dict[str, Mapping[str, str]] = {}
        """What opens, by login path."""
        self.forbidden: set[str] = set()

    def _vault(self, asked: Asked) -> Given:
        if asked.headers.get("x-vault-namespace") != self.namespace:
            return 404, {"errors": []}
        path = asked.path.removeprefix("/v1/")
        if path.startswith("auth/"):
            return self._log_in(path, asked)
        if asked.headers.get("x-vault-token") not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        mount, _, below = path.partition("/data/")
        name = f"{mount}/{below}"
        if name in self.forbidden:
            return 403, {"errors": ["permission denied"]}
        if name not in self.secrets:
            return 404, {"errors": []}
        fields = self.secrets[name]
        if fields is None:
            return 404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-25T00:00:00Z"}}}
        return 200, {"data": {"data": fields, "metadata": {"version": 1}}, "lease_duration": 0}

    def _log_in(self, path: str, asked: Asked) -> Given:
        if json.loads(asked.body) != self.logins.get(path):
            return 400, {"errors": ["invalid role or secret ID"]}
        token = f"hvs.granted-{len(self.asked)}-{time.monotonic_ns()}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}


class GoogleDouble(HttpDouble):
    """Google's token endpoint and Secret Manager."""

    TOKEN = "ya29.canary-8Rk3vQ6xTz1Wn5Yc"

    def __init__(self, **secrets: str) -> None:
        super().__init__(self._google)
        self.secrets = dict(secrets)
        self.states: dict[str, int] = {}
        """The status that is answered instead, by secret."""

    def _google(self, asked: Asked) -> Given:
        if asked.path == "/token":
            return 200, {"access_token": self.TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        if asked.headers.get("authorization") != f"Bearer {self.TOKEN}":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        name = asked.path.split("/secrets/")[1].split("/")[0]
        if name in self.states:
            return self.states[name], {"error": {"status": "REFUSED"}}
        if name not in self.secrets:
            return 404, {"error": {"status": "NOT_FOUND"}}
        data = base64.b64encode(self.secrets[name].encode()).decode()
        return 200, {"name": asked.path[4:], "payload": {"data": data}}


class AzureDouble(HttpDouble):
    """The identity endpoint of an Azure App Service, and a key vault."""

    TOKEN = "eyJ.canary-3Hm7tP2wKx6Jd9Fs"
    HEADER = "identity-header-canary-4Gd8"

    def __init__(self, **secrets: str) -> None:
        super().__init__(self._azure)
        self.secrets = dict(secrets)
        self.states: dict[str, int] = {}

    def _azure(self, asked: Asked) -> Given:
        if asked.path == "/msi/token":
            if asked.headers.get("x-identity-header") != self.HEADER:
                return 400, {"error": "no such identity"}
            resource = asked.query["resource"][0]
            until = int(time.time()) + 3600
            return 200, {
                "access_token": self.TOKEN,
                "expires_on": str(until),
                "resource": resource,
                "token_type": "Bearer",
            }
        if asked.headers.get("authorization") != f"Bearer {self.TOKEN}":
            return 401, {"error": {"code": "Unauthorized"}}
        name = asked.path.removeprefix("/secrets/").split("/")[0]
        if name in self.states:
            return self.states[name], {"error": {"code": "Refused"}}
        if name not in self.secrets:
            return 404, {"error": {"code": "SecretNotFound"}}
        return 200, {"value": self.secrets[name], "id": "https://kv.vault.azure.net/secrets/x/1"}
