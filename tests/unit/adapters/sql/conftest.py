"""Both kinds of database, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import PostgresServer
from tollhouse.adapters.sql.database import Database
from tollhouse.adapters.sql.postgresql import PostgresDatabase
from tollhouse.adapters.sql.sqlite import SqliteDatabase


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Of an empty database on the server."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty database; a file lies in `tmp_path`."""
    if request.param == "sqlite":
        return "sqlite:///books.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    made: Database = (
        SqliteDatabase(tmp_path / "books.db") if url.startswith("sqlite") else PostgresDatabase(url)
    )
    made.make_ready()
    yield made
    made.close()
