"""Client certificates, checked by a real nginx in front of a real house; and everybody who only says they have one."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from certificate_authority import CertificateAuthority, Issued
from house import House, config_text, free_port, running_house
from tollhouse.testing import ScriptedUpstream

pytestmark = pytest.mark.slow


PROXY = "127.0.0.2"
"""Where nginx calls the house from: everybody else here is 127.0.0.1, whom nobody believes."""
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {server.certificate}; ssl_certificate_key {server.key};
    ssl_client_certificate {authority}; ssl_verify_client optional;
    location / {{
      proxy_pass {house}; proxy_http_version 1.1; proxy_bind {proxy};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
    }}
  }}
}}
"""


class Front(House):
    """The house as callers see it who come through nginx."""

    def __init__(self, port: int, authority: CertificateAuthority) -> None:
        self.port = port
        self._authority = authority

    def ask(
        self, shown: Issued | None, headers: Mapping[str, str] | None = None, model: str = "gpt"
    ) -> tuple[int, dict[str, Any]]:
        """A chat call by whoever has that certificate."""
        context = ssl.create_default_context(cafile=str(self._authority.file))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        try:
            connection.request("POST", "/v1/chat/completions", chat(model), dict(headers or {}))
            answer = connection.getresponse()
            body = answer.read()
            if answer.getheader("content-type") != "application/json":
                return answer.status, {}
            return answer.status, json.loads(body)
        finally:
            connection.close()


def chat(model: str = "gpt") -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()


class Scene:
    def __init__(self, house: House, front: Front, authority: CertificateAuthority, folder: Path) -> None:
        self.house = house
        self.front = front
        self.authority = authority
        self.ci = authority.issue("ci", uri="spiffe://example.org/ci")
        self.key_holder = authority.issue("holder", host="holder.example.org")
        self.stranger = authority.issue("stranger", uri="spiffe://example.org/stranger")
        self.forged = CertificateAuthority(folder, "evil").issue("ci-forged", uri="spiffe://example.org/ci")


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def scene(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("authority")
    authority = CertificateAuthority(folder)
    server = {"listen": "127.0.0.1:0", "drain_s": 5, "trusted_proxies": [f"{PROXY}/32"]}
    subjects: dict[str, Any] = {
        "ci": {"uri": "spiffe://example.org/ci", "routes": ["gpt"], "team": "builders"},
        "by-key": {"dns": "holder.example.org", "key": "cfg-declared"},
    }
    keys = [{"name": "declared", "sha256": "ab" * 32, "routes": ["text", "gpt"]}]
    identity = {"mtls": {"header": "x-client-cert", "subjects": subjects}}
    config = config_text(upstream.base_url, server=server, identity=identity, keys=keys)
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        with nginx(tmp_path_factory.mktemp("nginx"), house, authority) as front:
            yield Scene(house, front, authority, folder)


@contextlib.contextmanager
def nginx(folder: Path, house: House, authority: CertificateAuthority) -> Iterator[Front]:
    assert shutil.which("nginx"), "nginx is missing. As root: apt-get install nginx"
    port = free_port()
    server = authority.issue("server", host="localhost")
    text = NGINX.format(
        folder=folder, port=port, house=house.url, server=server, authority=authority.file, proxy=PROXY
    )
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")])
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield Front(port, authority)
    finally:
        process.terminate()
        process.wait(10)


def test_certificate_lets_its_subject_in_without_a_key(scene: Scene, upstream: ScriptedUpstream) -> None:
    assert scene.front.ask(scene.ci)[0] == 200
    assert scene.front.ask(scene.ci, {"authorization": "Bearer mtls"})[0] == 200
    assert not {"x-client-cert", "x-forwarded-for"} & {name.lower() for name in upstream.received[-1].headers}
    assert scene.front.ask(scene.ci, model="embed")[0] == 403
    assert {row["key_id"] for row in scene.house.book(3)} == {"mtls:ci"}
    assert {row["team"] for row in scene.house.book(3)} == {"builders"}


def test_certificate_may_stand_for_a_key(scene: Scene) -> None:
    assert scene.front.ask(scene.key_holder)[0] == 200
    assert scene.house.book(1)[0]["key_id"] == "cfg-declared"
    assert scene.front.ask(scene.key_holder, model="embed")[0] == 403


def test_nobody_elses_certificate_lets_in_and_none_does_not_either(scene: Scene) -> None:
    status, body = scene.front.ask(scene.stranger)
    assert (status, body["error"]["code"]) == (401, "unauthenticated")
    assert scene.front.ask(None)[0] == 401
    assert scene.front.ask(scene.forged)[0] == 400, "nginx itself refuses what its authority has not signed"


def test_key_that_is_shown_decides_and_no_certificate_mends_it(scene: Scene) -> None:
    key = scene.house.new_key("text")
    assert scene.front.ask(scene.ci, {"authorization": f"Bearer {key}"})[0] == 403
    assert scene.front.ask(scene.ci, {"authorization": "Bearer sk-wrong"})[0] == 401
    assert scene.front.ask(scene.ci, {"authorization": "Basic bXRsczptdGxz"})[0] == 401


HEADERS = ("x-client-cert", "X-Client-Cert", "x-forwarded-client-cert", "x-client-cert-chain")


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "way", ["past the proxy", "through it without a certificate", "through it with another"]
)
def test_forged_header_lets_nobody_in(scene: Scene, header: str, way: str) -> None:
    told = f'Hash={scene.ci.sha256};Subject="CN=ci,O=Example";URI=spiffe://example.org/ci'
    forged = {header: quote(scene.ci.pem) if header != "x-forwarded-client-cert" else told}
    forged |= {"x-forwarded-for": PROXY, "forwarded": f"for={PROXY}", "x-real-ip": PROXY}
    if way == "past the proxy":
        status = scene.house.call("POST", "/v1/chat/completions", chat(), forged)[0]
    elif way == "through it without a certificate":
        status = scene.front.ask(None, forged)[0]
    else:
        status = scene.front.ask(scene.stranger, forged)[0]
    assert status == 401


def test_header_spelled_with_an_underscore_is_no_request_at_all(scene: Scene) -> None:
    forged = {"x_client_cert": quote(scene.ci.pem)}
    assert scene.house.call("POST", "/v1/chat/completions", chat(), forged)[0] == 400


def test_two_certificates_in_one_header_let_nobody_in(scene: Scene) -> None:
    """As a proxy would send it that adds its own to what the caller wrote."""
    with socket.socket() as line:
        line.bind((PROXY, 0))
        host, port = scene.house.url.removeprefix("http://").split(":")
        line.connect((host, int(port)))
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        head += f"content-length: {len(chat())}\r\n"
        for shown in (scene.ci, scene.stranger):
            head += f"x-client-cert: {quote(shown.pem)}\r\n"
        line.sendall(head.encode() + b"\r\n" + chat())
        assert line.recv(100).startswith(b"HTTP/1.1 401")


def test_callers_address_is_what_the_trusted_proxy_says_and_nobody_else(scene: Scene) -> None:
    key = scene.house.new_key("gpt", name="narrow", more=("--network", "127.0.0.1/32"))
    shown = {"authorization": f"Bearer {key}"}
    # Through nginx the caller is 127.0.0.1, whatever it writes in front of that.
    assert scene.front.ask(None, {**shown, "x-forwarded-for": "203.0.113.9"})[0] == 200
    assert scene.house.call("POST", "/v1/chat/completions", chat(), shown)[0] == 200
    elsewhere = scene.house.new_key("gpt", name="elsewhere", more=("--network", "203.0.113.0/24"))
    forged = {"authorization": f"Bearer {elsewhere}", "x-forwarded-for": "203.0.113.9"}
    assert scene.front.ask(None, forged)[0] == 403
    assert scene.house.call("POST", "/v1/chat/completions", chat(), forged)[0] == 403


def test_metrics_stay_closed_to_whoever_comes_through_the_proxy(scene: Scene) -> None:
    context = ssl.create_default_context(cafile=str(scene.authority.file))
    connection = http.client.HTTPSConnection("localhost", scene.front.port, timeout=30, context=context)
    try:
        connection.request("GET", "/metrics", headers={"x-forwarded-for": "127.0.0.1"})
        assert connection.getresponse().status == 403
    finally:
        connection.close()
