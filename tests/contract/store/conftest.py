"""Every implementation of the store, each on its own empty database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postgres_server import PostgresServer
from tollhouse.adapters.sql import open_store
from tollhouse.ports.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of an empty database."""
    if request.param == "sqlite":
        yield "sqlite:///books.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def open_another(url: str, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same database again, as another process would."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(open_store(url, tmp_path))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_another: Callable[[], Store]) -> Store:
    made = open_another()
    made.prepare()
    return made
