"""An OpenID provider in a process of its own, for tests: discovery, keys that rotate, consent without asking, tokens
for codes with PKCE, and switches for everything that can be wrong with one.

    python tests/oidc_provider.py

prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

CLIENT = "tollhouse-cli"
AUDIENCE = "tollhouse"


class Keys:
    """What the provider signs with; the newest signs, the others are still published."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.add("RSA")
        self.add("EC")

    def add(self, kind: str) -> str:
        name = f"key-{len(self.all) + 1}"
        parameters: Any = {"kid": name, "use": "sig"}
        key: Any = (
            RSAKey.generate_key(2048, parameters, private=True)
            if kind == "RSA"
            else ECKey.generate_key("P-256", parameters, private=True)
        )
        self.all.append(key)
        return name

    def rotate(self) -> None:
        """Others from now on; those before are published no more."""
        first = len(self.all)
        self.add("RSA")
        self.add("EC")
        self.published_from = first

    published_from = 0

    def document(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.all[self.published_from :]]}

    def sign(self, claims: Any, header: dict[str, Any] | None = None) -> str:
        wanted = {"alg": "RS256", **(header or {})}
        key = self.all[-2 if wanted["alg"].startswith("RS") else -1]
        wanted.setdefault("kid", key.kid)
        registry = jws.JWSRegistry(algorithms=["RS256", "ES256"], strict_check_header=False)
        return jws.serialize_compact(wanted, json.dumps(claims).encode(), key, registry=registry)


class Provider(ThreadingHTTPServer):
    """The provider's state, and its faults."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.keys = Keys()
        self.codes: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, int] = {}
        """How often, by path."""
        self.faults: dict[str, Any] = {}
        self.claims: dict[str, Any] = {
            "sub": "alice-1",
            "email": "alice@example.org",
            "email_verified": True,
            "name": "Alice",
            "groups": ["platform"],
        }
        """Of whoever logs in."""


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    server: Provider

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        provider = self.server
        provider.asked[url.path] = provider.asked.get(url.path, 0) + 1
        fault = provider.faults.get(url.path)
        if fault == "down":
            self.tell(503, {"error": "down"})
        elif fault == "slow":
            self.drip()
        elif fault == "huge":
            self.huge()
        elif fault == "text":
            self.tell(200, "this is no object")
        elif url.path == "/.well-known/openid-configuration":
            issuer = provider.faults.get("issuer", provider.issuer)
            self.tell(
                200,
                {
                    "issuer": issuer,
                    "authorization_endpoint": provider.issuer + "/authorize",
                    "token_endpoint": provider.issuer + "/token",
                    "jwks_uri": provider.issuer + "/jwks",
                    "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": True,
                },
            )
        elif url.path == "/jwks":
            self.tell(200, provider.keys.document())
        elif url.path == "/authorize":
            self.authorize(dict(urllib.parse.parse_qsl(url.query)))
        elif url.path == "/asked":
            self.tell(200, provider.asked)
        else:
            self.tell(404, {})

    def do_POST(self) -> None:
        provider = self.server
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path == "/token":
            self.token(dict(urllib.parse.parse_qsl(body.decode())))
            return
        order = json.loads(body)
        if self.path == "/mint":
            self.tell(200, provider.keys.sign(order["claims"], order.get("header")))
        elif self.path == "/rotate":
            provider.keys.rotate()
            self.tell(200, {})
        elif self.path == "/faults":
            provider.faults = order
            self.tell(200, {})
        elif self.path == "/claims":
            provider.claims.update(order)
            self.tell(200, {})

    def authorize(self, asked: dict[str, str]) -> None:
        """Consents, and sends whoever asks back with a code."""
        provider, faults = self.server, self.server.faults
        code = secrets.token_urlsafe(16)
        provider.codes[code] = asked
        answer = {
            "code": faults.get("code", code),
            "state": faults.get("state", asked.get("state", "")),
            "iss": faults.get("answer_iss", provider.issuer),
        }
        if "refuse" in faults:
            answer = {"error": "access_denied", "state": asked["state"], "iss": provider.issuer}
        self.send_response(302)
        self.send_header("location", asked["redirect_uri"] + "?" + urllib.parse.urlencode(answer))
        self.send_header("content-length", "0")
        self.end_headers()

    def token(self, form: dict[str, str]) -> None:
        """A code is good once, for whoever has its verifier, and for the address it was sent to."""
        provider, faults = self.server, self.server.faults
        asked = provider.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if (
            asked is None
            or asked.get("code_challenge") != challenge
            or asked.get("code_challenge_method") != "S256"
            or asked["redirect_uri"] != form.get("redirect_uri")
            or asked["client_id"] != form.get("client_id")
        ):
            self.tell(400, {"error": "invalid_grant"})
            return
        now = int(time.time())
        claims = {
            "iss": provider.issuer,
            "aud": asked["client_id"],
            "iat": now,
            "exp": now + 300,
            "nonce": asked.get("nonce", ""),
            **provider.claims,
            **faults.get("claims", {}),
        }
        self.tell(
            200, {"access_token": "unused", "token_type": "Bearer", "id_token": provider.keys.sign(claims)}
        )

    def tell(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        """A byte now and then, for ever."""
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.end_headers()
        try:
            while "/jwks" in self.server.faults or self.server.faults:
                self.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            return

    def huge(self) -> None:
        """10 MB of keys."""
        key = json.dumps(self.server.keys.document()["keys"][0]).encode()
        body = b'{"keys":[' + b",".join([key] * (10_000_000 // len(key))) + b"]}"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            return


class OidcProvider:
    """The same from outside: a process that is there inside the block."""

    def __enter__(self) -> OidcProvider:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.issuer = self._process.stdout.readline().decode().strip()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def stop(self) -> None:
        """It is gone, in the middle of the block."""
        self._process.terminate()
        self._process.wait(10)

    def _post(self, path: str, document: Any) -> Any:
        request = urllib.request.Request(self.issuer + path, json.dumps(document).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def mint(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that holds for five minutes; a claim that is None is left out."""
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "build-7",
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        text: str = self._post("/mint", {"claims": said, "header": header})
        return text

    def rotate(self) -> None:
        self._post("/rotate", {})

    def fault(self, **faults: Any) -> None:
        """These faults and no others."""
        self._post("/faults", faults)

    def faults(self, faults: dict[str, Any]) -> None:
        self._post("/faults", faults)

    def is_who(self, **claims: Any) -> None:
        """What is said of whoever logs in from now on."""
        self._post("/claims", claims)

    def asked(self, path: str) -> int:
        """How often that path was."""
        with urllib.request.urlopen(self.issuer + "/asked", timeout=10) as answer:
            times: int = json.loads(answer.read()).get(path, 0)
            return times


def main() -> None:
    """Serve until nobody holds our standard input any more."""
    provider = Provider()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    print(provider.issuer, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
