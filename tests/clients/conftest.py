"""A house per upstream, opened when first asked for, and clients that keep running between tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.client import KEY, Client, node_client, python_client
from clients.upstreams import Upstream
from house import House

pytest.register_assert_rewrite("clients.expected")

PROVIDERS: dict[str, dict[str, Any]] = {
    "openai_chat": {"kind": "openai_compatible", "base_url": "{}/v1"},
    "openai_responses": {"kind": "openai", "base_url": "{}/v1"},
    "anthropic_messages": {"kind": "anthropic", "base_url": "{}"},
    "gemini_generate": {"kind": "gemini", "base_url": "{}"},
    "bedrock_converse": {"kind": "bedrock", "base_url": "{}", "region": "us-east-1"},
    "cohere_chat": {"kind": "cohere", "base_url": "{}"},
}
"""How a house is told of each upstream; `dialects` narrows it to the one the server speaks."""


def house_config(dialect: str, url: str) -> str:
    provider = {**PROVIDERS[dialect], "credential": "env:UP_KEY", "dialects": [dialect]}
    provider["base_url"] = provider["base_url"].format(url)
    tree = {
        "version": 1,
        "server": {"listen": "127.0.0.1:0", "drain_s": 5},
        "providers": {"up": provider},
        "routes": {"*": {"deployments": [{"provider": "up", "model": "*"}], "retry": {"max_attempts": 1}}},
        "keys": [{"name": "clients", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "routes": ["*"]}],
    }
    return json.dumps(tree, indent=1)


class Road:
    """An upstream and the house in front of it."""

    def __init__(self, upstream: Upstream, house: House) -> None:
        self.upstream = upstream
        self.house = house


@pytest.fixture(scope="session")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Road]]:
    """`roads(dialect)`: the road to an upstream of the dialect, its notes of earlier tests forgotten."""
    built: dict[str, Road | str] = {}

    def road(dialect: str) -> Road:
        if dialect not in built:
            upstream = Upstream(dialect).__enter__()
            house = House(tmp_path_factory.mktemp(dialect), house_config(dialect, upstream.url))
            try:
                house.start()
                built[dialect] = Road(upstream, house)
            except AssertionError as error:
                built[dialect] = str(error)
                upstream.__exit__()
        found = built[dialect]
        assert isinstance(found, Road), f"no house for {dialect}: {found}"
        found.upstream.forget()
        return found

    yield road
    for found in built.values():
        if isinstance(found, Road):
            found.house.stop()
            found.upstream.__exit__()


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Client]]:
    """`client(driver, era)`: a running client; the era `node` is Node.js."""
    running: dict[tuple[str, str], Client] = {}
    folder: Path = tmp_path_factory.mktemp("clients")

    def get(driver: str, era: str) -> Client:
        where = ("", era) if era == "node" else (driver, era)
        if where not in running or not running[where].is_running:
            log = folder / f"{driver}-{era}.log"
            running[where] = node_client(log) if era == "node" else python_client(driver, era, log)
        return running[where]

    yield get
    for one in running.values():
        one.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests are slow and need the environments of the clients."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.clients)
