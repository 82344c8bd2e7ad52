"""Behind nginx, as many houses will stand: streams are not held back, and errors stay readable."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from house import House, config_text, free_port, running_house
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
    location / {{ proxy_pass {house}; proxy_http_version 1.1; proxy_set_header X-Forwarded-For $remote_addr; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), config_text(upstream.base_url)) as house:
        yield house


@pytest.fixture(scope="module")
def front(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx with its usual buffering on, in front of the house."""
    assert shutil.which("nginx"), "nginx is missing. As root: apt-get install nginx"
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, house=house.url))
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
        stream = client.chat.completions.create(
            model="gpt", messages=[{"role": "user", "content": "slowly"}], stream=True
        )
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
