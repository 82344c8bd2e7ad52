"""A provider in somebody else's distribution: the one that docs/guides/adding-a-provider.md shows, built, installed and
called in a real house that was not changed for it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from docs.guide_files import files_of
from house import PROVIDER_KEY, House, running_house
from tollhouse.core.operation import Operation
from tollhouse.ports.provider import Provider, Support, Thinking, Traits
from tollhouse.testing import ScriptedUpstream

FILES = files_of("adding-a-provider.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution installed in it, by pip and without any index."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "acme_provider.py"):
        (source / name).write_text(FILES[name])
    target = tmp_path_factory.mktemp("site")
    arguments = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--quiet"]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *arguments]
    done = subprocess.run(
        [*command, "--target", str(target), str(source)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def env(site: Path) -> dict[str, str]:
    """Where the house finds it: beside whatever the test run itself was told."""
    return {
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "ACME_KEY": PROVIDER_KEY,
    }


def tree(base_url: str | None = None, **more: Any) -> dict[str, Any]:
    """The guide's configuration, with Acme where the test has it."""
    written: dict[str, Any] = yaml.safe_load(FILES["tollhouse.yaml"])
    if base_url is not None:
        written["providers"]["acme"]["base_url"] = base_url
        written["server"] = {"listen": "127.0.0.1:0", "drain_s": 5}
    return written | more


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, env: dict[str, str], upstream: ScriptedUpstream
) -> Iterator[House]:
    config = json.dumps(tree(upstream.base_url))
    with running_house(tmp_path_factory.mktemp("house"), config, env) as running:
        yield running


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.new_key("*")


def call(house: House, key: str, path: str, **body: Any) -> tuple[int, dict[str, str], Any]:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    status, got, answer = house.call("POST", path, json.dumps(body).encode(), headers)
    return status, got, answer


HELLO = [{"role": "user", "content": "hello there"}]


# -- the file


@pytest.fixture(scope="module")
def provider(site: Path) -> Provider:
    spec = importlib.util.spec_from_file_location("acme_provider", site / "acme_provider.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.PROVIDER
    assert isinstance(found, Provider)
    return found


def test_the_file_says_what_the_guide_says_of_it(provider: Provider) -> None:
    mini = provider.traits_for("acme-think-mini-2")
    assert mini.thinking is Thinking.EFFORT
    assert mini.efforts == {"low"}
    assert provider.traits_for("acme-1").thinking is Thinking.NONE
    assert provider.traits.json_schema is Support.EMULATED
    assert provider.endpoint(Operation.EMBEDDINGS, "openai_embeddings") is not None
    for glob, changed in provider.models:
        assert set(changed) <= set(Traits.__struct_fields__), glob


# -- the house


def test_check_knows_the_kind_only_where_the_distribution_is(tmp_path: Path, env: dict[str, str]) -> None:
    config = json.dumps(tree())
    there = House(tmp_path, config, env).run("check", check=False)
    assert there.returncode == 0, there.stderr
    elsewhere = House(tmp_path, config, {"PYTHONPATH": os.environ.get("PYTHONPATH", "")})
    missing = elsewhere.run("check", check=False)
    assert missing.returncode == 1
    assert "There is no kind of provider named 'acme'" in missing.stdout + missing.stderr


def test_a_broken_distribution_is_named(tmp_path: Path, env: dict[str, str]) -> None:
    information = tmp_path / "beside" / "broken-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[tollhouse.providers]\nbroken = no_such_module:PROVIDER\n")
    paths = os.pathsep.join([str(tmp_path / "beside"), env["PYTHONPATH"]])
    checked = House(tmp_path, json.dumps(tree()), env | {"PYTHONPATH": paths}).run("check", check=False)
    assert checked.returncode != 0
    assert "broken = no_such_module:PROVIDER of broken" in checked.stdout + checked.stderr


def test_callers_of_its_own_dialect_have_their_bytes_forwarded(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    status, headers, answer = call(
        house, key, "/v1/chat/completions", model="acme/acme-1", messages=HELLO, seed=7, own_field=[1]
    )
    assert status == 200, answer
    assert json.loads(answer)["choices"][0]["message"]["content"]
    assert "x-tollhouse-dropped" not in headers
    received = upstream.received[-1]
    assert received.path == "/v1/chat/completions"
    assert received.json() == {"model": "acme-1", "messages": HELLO, "seed": 7, "own_field": [1]}
    assert received.headers["x-acme-key"] == PROVIDER_KEY
    assert received.headers["x-acme-version"] == "2026-10-01"
    assert "authorization" not in received.headers


def test_callers_of_another_dialect_are_translated_by_its_traits(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    status, headers, answer = call(
        house,
        key,
        "/v1/messages",
        model="acme/acme-think-1",
        max_tokens=4096,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=HELLO,
    )
    assert status == 200, answer
    assert json.loads(answer)["type"] == "message"
    received = upstream.received[-1].json()
    assert received["model"] == "acme-think-1"
    assert received["max_tokens"] == 4096
    assert received["reasoning_effort"] == "low"
    assert "x-tollhouse-dropped" not in headers


def test_what_it_refuses_is_left_out_and_named_in_the_callers_words(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "generationConfig": {"seed": 7}}
    status, headers, answer = call(house, key, "/v1beta/models/acme%2Facme-1:generateContent", **body)
    assert status == 200, answer
    assert json.loads(answer)["candidates"]
    assert "seed" not in upstream.received[-1].json()
    assert headers["x-tollhouse-dropped"] == "generationConfig.seed"


def test_streams_of_another_dialect_are_whole(house: House, key: str) -> None:
    status, _, answer = call(
        house, key, "/v1/messages", model="acme/acme-1", max_tokens=99, stream=True, messages=HELLO
    )
    assert status == 200
    events = [line.partition(b": ")[2] for line in answer.splitlines() if line.startswith(b"event: ")]
    assert events[0] == b"message_start"
    assert events[-1] == b"message_stop"


def test_what_it_does_not_offer_is_refused_before_any_call(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    before = upstream.count
    status, _, answer = call(house, key, "/v2/rerank", model="acme/acme-1", query="q", documents=["d"])
    assert 400 <= status < 500, answer
    assert upstream.count == before


def test_its_calls_stand_in_the_book(house: House, key: str) -> None:
    call(house, key, "/v1/chat/completions", model="acme/acme-1", messages=HELLO)
    newest = house.book(1)[0]
    assert newest["outcome"] == "ok"
    assert newest["attempts"][0]["deployment"] == "acme/*"
