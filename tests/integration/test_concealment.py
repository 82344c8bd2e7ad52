"""The provider's key is nowhere but in the house: not in what it writes, answers, exposes or shows to other users."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from house import PROVIDER_KEY, House, config_text
from tollhouse.testing import CanaryScanner, ScriptedUpstream

MASTER_KEY = "master-canary-Jd83kfQpZx71LmNv"
FORMS = {
    "raw": PROVIDER_KEY.encode(),
    "base64 0": base64.b64encode(PROVIDER_KEY.encode()),
    "base64 1": base64.b64encode(b"x" + PROVIDER_KEY.encode()),
    "base64 2": base64.b64encode(b"xy" + PROVIDER_KEY.encode()),
    "base64 url": base64.urlsafe_b64encode(PROVIDER_KEY.encode()),
    "hex": PROVIDER_KEY.encode().hex().encode(),
    "HEX": PROVIDER_KEY.encode().hex().upper().encode(),
    "percent": "".join(f"%{byte:02X}" for byte in PROVIDER_KEY.encode()).encode(),
    "quoted": quote(PROVIDER_KEY, safe="").encode(),
}


@pytest.fixture(scope="module")
def scanner() -> CanaryScanner:
    return CanaryScanner({"provider key": PROVIDER_KEY, "master key": MASTER_KEY})


@pytest.mark.parametrize("form", FORMS)
def test_scanner_finds_a_planted_key(scanner: CanaryScanner, tmp_path: Path, form: str) -> None:
    (tmp_path / "planted").write_bytes(b"\x00" * 5_000 + FORMS[form] + b"\x00" * 5_000)
    assert [hit.label for hit in scanner.scan_tree(tmp_path)] != []


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def test_key_is_nowhere_after_everything_that_can_go_wrong(
    scanner: CanaryScanner, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Calls of every kind, an upstream that repeats the key in its errors, a crash, a restart, every command."""
    house = House(tmp_path, config_text(upstream.base_url), env={"TOLLHOUSE_MASTER_KEY": MASTER_KEY})
    house.start()
    key = house.new_key("*")
    said: list[bytes] = []
    echo = f"Incorrect API key provided: {PROVIDER_KEY}"
    scripts: list[dict[str, Any]] = [
        {}, {"status": 401, "message": echo}, {"status": 500, "message": echo}, {"status": 429, "message": echo},
        {"fault": "error_in_200", "message": echo}, {"fault": "error_midway", "message": echo}, {"fault": "reset"},
        {"fault": "garbage"}, {"fault": "html"}, {"fault": "cut"}, {"fault": "json_tail", "message": echo},
    ]  # fmt: skip
    for script in scripts:
        for is_stream in (False, True):
            body = {"mock": script, "stream": is_stream}
            status, headers, answer = house.chat(key, **body)
            said += [str(status).encode(), json.dumps(headers).encode(), answer]
    for path in ("/metrics", "/readyz", "/healthz", "/v1/models", "/v1/nothing"):
        _, headers, answer = house.call("GET", path, headers={"authorization": f"Bearer {key}"})
        said += [json.dumps(headers).encode(), answer]

    workers = house.worker_pids()
    assert workers
    in_processes = scanner.scan_processes(workers)
    in_arguments = [hit for hit in scanner.scan_processes([house.pid]) if "cmdline" in hit.where]

    for command in (
        ("requests", "--json"),
        ("usage", "--json"),
        ("keys", "list", "--json"),
        ("doctor", "--json"),
    ):
        done = house.run(*command, check=False)
        said += [done.stdout.encode(), done.stderr.encode()]
    house.kill()
    house.start()
    house.chat(key)
    assert [path for path in tmp_path.iterdir() if path.name.endswith("-wal")], (
        "its pages are scanned as well"
    )
    while_open = scanner.scan_tree(tmp_path)
    assert house.stop() == 0

    assert while_open == []
    assert scanner.scan(b"\n".join(said)) == []
    assert in_processes == []
    assert in_arguments == []
    assert scanner.scan_tree(tmp_path) == []
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"tollhouse.db", "serve.log", "tollhouse.yaml"} <= written


def test_virtual_key_is_kept_only_as_a_digest(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("*")
    house.chat(key)
    house.chat(key[:-1])
    assert house.stop() == 0
    assert CanaryScanner({"virtual key": key}).scan_tree(tmp_path) == []
    assert oct((tmp_path / "tollhouse.master-key").stat().st_mode & 0o777) == "0o600"
