"""Behind nginx, as many houses will stand: streams are not held back, silent ones live, and errors stay readable."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from house import House, config_text, free_port, running_house
from tollhouse.core.routing import Route
from tollhouse.testing import ScriptedUpstream

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    proxy_read_timeout {patience_s}s;
    location / {{ proxy_pass {house}; proxy_http_version 1.1; proxy_set_header X-Forwarded-For $remote_addr; }}
  }}
}}
"""


HEARTBEAT_AFTER_S = 0.5
PATIENCE_S = 2
SILENCE_S = 3.0
ASK: Any = [{"role": "user", "content": "slowly"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def config_of(upstream: ScriptedUpstream, **heartbeats: float) -> str:
    """A route for each name, with a provider of its own: none is avoided for what another did."""
    kind = {"kind": "openai_compatible", "base_url": upstream.base_url}
    providers = {name: {**kind, "credential": f"env:{name.upper()}_KEY"} for name in heartbeats}
    routes = {
        name: {
            "deployments": [{"provider": name, "model": "mock-chat"}],
            "retry": {"max_attempts": 1},
            "timeouts": {"first_header_s": 120, "first_token_s": 120},
            "heartbeat_after_s": after_s,
        }
        for name, after_s in heartbeats.items()
    }
    return config_text(upstream.base_url, providers=providers, routes=routes)


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    soon = HEARTBEAT_AFTER_S
    config = config_of(upstream, gpt=soon, refusing_soon=soon, refusing_late=soon, mute=0)
    keys = {f"{name}_KEY": f"key-of-{name}" for name in ("GPT", "REFUSING_SOON", "REFUSING_LATE", "MUTE")}
    with running_house(tmp_path_factory.mktemp("house"), config, keys) as house:
        yield house


@pytest.fixture(scope="module")
def front(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nginx(tmp_path_factory.mktemp("nginx"), house, PATIENCE_S) as url:
        yield url


@contextlib.contextmanager
def nginx(folder: Path, house: House, patience_s: int) -> Iterator[str]:
    """nginx with its usual buffering on, in front of the house, cutting what is silent for so long."""
    assert shutil.which("nginx"), "nginx is missing. As root: apt-get install nginx"
    port = free_port()
    config = NGINX.format(folder=folder, port=port, house=house.url, patience_s=patience_s)
    (folder / "nginx.conf").write_text(config)
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")])
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_frames_arrive_one_by_one_through_a_buffering_proxy(
    front: str, house: House, upstream: ScriptedUpstream
) -> None:
    upstream.script(chunks=10, chunk_delay_s=0.1)
    with OpenAI(base_url=f"{front}/v1", api_key=house.new_key("gpt"), max_retries=0) as client:
        stream = client.chat.completions.create(model="gpt", messages=ASK, stream=True)
        arrivals = [time.monotonic() for chunk in stream if chunk.choices[0].delta.content]
    assert len(arrivals) >= 10
    # Held back, they would all come at once at the end; one by one, they are spread over about a second.
    assert arrivals[-1] - arrivals[0] > 0.5


def test_errors_and_metrics_through_a_proxy(front: str, house: House, tmp_path: Path) -> None:
    through = House(tmp_path, "")
    through.url = front
    status, headers, body = through.call("POST", "/v1/chat/completions", b"{}")
    assert (status, json.loads(body)["error"]["code"]) == (401, "unauthenticated")
    assert headers["x-request-id"].startswith("req_")
    assert through.call("GET", "/metrics")[0] == 403
    assert house.call("GET", "/metrics")[0] == 200


def said(url: str, key: str, model: str = "gpt") -> str:
    """What the model says, streamed through nginx."""
    with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        stream = client.chat.completions.create(model=model, messages=ASK, stream=True)
        chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason == "stop"
    return "".join([chunk.choices[0].delta.content or "" for chunk in chunks])


@pytest.mark.parametrize("silence", ["delay_s", "first_token_delay_s", "chunk_delay_s"])
def test_an_answer_survives_a_silence_longer_than_the_proxys_patience(
    front: str, house: House, upstream: ScriptedUpstream, silence: str
) -> None:
    """Before the provider's status, after it, and in the middle of the answer."""
    key = house.new_key("gpt")
    upstream.script(chunks=2)
    prompt = said(front, key)
    upstream.script(chunks=2, **{silence: SILENCE_S})
    assert said(front, key) == prompt
    (row, *_) = house.book()
    assert row["outcome"] == "ok"
    if silence == "delay_s":
        assert row["first_byte_s"] >= SILENCE_S


def test_without_heartbeats_the_proxy_cuts_what_is_silent(
    front: str, house: House, upstream: ScriptedUpstream
) -> None:
    upstream.script(delay_s=SILENCE_S)
    with pytest.raises(openai.InternalServerError, match="504"):
        said(front, house.new_key("mute"), "mute")


def test_a_refusal_that_comes_before_the_first_heartbeat_keeps_its_status(
    front: str, house: House, upstream: ScriptedUpstream
) -> None:
    upstream.script(status=429, retry_after_s=7, delay_s=HEARTBEAT_AFTER_S / 4)
    with pytest.raises(openai.RateLimitError) as caught:
        said(front, house.new_key("refusing_soon"), "refusing_soon")
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_refusal_that_comes_after_it_is_an_error_in_the_stream(
    front: str, house: House, upstream: ScriptedUpstream
) -> None:
    upstream.script(status=429, delay_s=HEARTBEAT_AFTER_S * 3)
    with pytest.raises(openai.APIError) as caught:
        said(front, house.new_key("refusing_late"), "refusing_late")
    assert not isinstance(caught.value, openai.APIStatusError)
    assert caught.value.code == "upstream_rate_limited"
    (row, *_) = house.book()
    assert (row["status"], row["outcome"], row["error"]) == (200, "upstream_error", "upstream_rate_limited")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_answer_survives_ninety_seconds_of_silence_behind_a_patience_of_sixty(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """The usual figures: those of nginx, of a model that thinks, and of a house nobody has configured for it."""
    config = config_of(upstream, gpt=Route(name="", deployments=()).heartbeat_after_s)
    with running_house(tmp_path, config, {"GPT_KEY": "key"}) as house, nginx(tmp_path, house, 60) as url:
        upstream.script(delay_s=90)
        assert said(url, house.new_key("gpt"))
