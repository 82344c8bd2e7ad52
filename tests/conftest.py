"""What every test can rely on: no network but loopback, and nothing left over."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from house import House

# How fast the machine is, and how busy with other tests, is not what a property is about.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

if TYPE_CHECKING:
    from postgres_server import PostgresServer

_RECORDINGS = {"corpus": "TOLLHOUSE_CORPUS", "judge": "TOLLHOUSE_JUDGE"}
"""Tests that need what lies outside the project, and the variable that says where."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "corpus: needs recorded provider traffic, found by TOLLHOUSE_CORPUS")
    config.addinivalue_line("markers", "judge: needs the black-box judge, found by TOLLHOUSE_JUDGE")
    config.stash[_LEFT_OUT] = {}


_LEFT_OUT: pytest.StashKey[dict[str, int]] = pytest.StashKey()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be run here, and keep count, so that it is said and not passed over."""
    kept: list[pytest.Item] = []
    for item in items:
        missing = [
            name
            for name, variable in _RECORDINGS.items()
            if item.get_closest_marker(name) and not os.environ.get(variable)
        ]
        if missing:
            left_out = config.stash[_LEFT_OUT]
            left_out[missing[0]] = left_out.get(missing[0], 0) + 1
        else:
            kept.append(item)
    dropped = [item for item in items if item not in kept]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What was not run, and what to set to run it; and what tests have to report."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == "report":
                terminalreporter.write_line(str(text))
    missing = [(name, variable) for name, variable in _RECORDINGS.items() if not os.environ.get(variable)]
    for name, variable in missing:
        terminalreporter.write_line(
            f"not run: the tests marked `{name}`; set {variable} to the folder they need", yellow=True
        )


def pytest_sessionfinish() -> None:
    """Houses of tests that failed are still open."""
    for house in House.started:
        if house.is_running:
            house.kill()


_connect = socket.socket.connect


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches beyond this machine fails."""

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            assert host.startswith("127.") or host in ("::1", "localhost"), f"the network is closed: {host}"
        _connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder with recorded provider traffic and its replay server."""
    return Path(os.environ["TOLLHOUSE_CORPUS"]).resolve()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started by the first test that asks for it; each test takes a database of its own."""
    from postgres_server import running_postgres

    with running_postgres() as server:
        yield server
