"""What `tollhouse store` prints and which status it leaves with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from postgres_server import PASSWORD, PostgresServer
from tollhouse.adapters.sql.postgresql import PostgresDatabase
from tollhouse.adapters.sql.tables import HEAD
from tollhouse.cli.main import run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tollhouse.yaml"
    path.write_text("version: 1\n")
    return path


@pytest.fixture
def postgres_url(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with postgres.database() as url:
        monkeypatch.setenv("TOLLHOUSE_STORE", url)
        yield url


def told(
    capsys: pytest.CaptureFixture[str], config: Path, *more: str, verb: str = "store migrate"
) -> tuple[int, str]:
    capsys.readouterr()
    status = run([*verb.split(), "--config", str(config), *more])
    said = "".join(capsys.readouterr())
    assert PASSWORD not in said
    return status, said


def test_file_is_brought_up(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    assert told(capsys, config) == (0, f"the store is now at schema {HEAD}, from an empty database\n")
    assert told(capsys, config) == (0, f"the store is at schema {HEAD} already\n")


def test_database_of_a_server_is_brought_up_when_asked_and_not_before(
    capsys: pytest.CaptureFixture[str], config: Path, postgres_url: str
) -> None:
    assert json.loads(told(capsys, config, "--json")[1]) == {"before": None, "after": HEAD}
    database = PostgresDatabase(postgres_url)
    with database.writing() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0003')"))
        connection.execute(text("DROP TABLE spending"))
    database.close()
    status, said = told(capsys, config, verb="keys list")
    assert (status, "run `tollhouse store migrate`" in said) == (3, True)


def test_keys_and_books_are_kept_by_a_server(
    capsys: pytest.CaptureFixture[str], config: Path, postgres_url: str
) -> None:
    status, said = told(capsys, config, "--name", "ci", "--route", "gpt", "--json", verb="keys create")
    assert status == 0
    status, listed = told(capsys, config, "--json", verb="keys list")
    assert [key["id"] for key in json.loads(listed)] == [json.loads(said)["id"]]
    assert told(capsys, config, verb="requests")[0] == 0
    assert list(config.parent.glob("*.db")) == []


def test_server_that_is_not_there_is_told(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLHOUSE_STORE", f"postgresql://keeper:{PASSWORD}@127.0.0.1:1/books")
    status, said = told(capsys, config)
    assert (status, "nobody listens there" in said) == (3, True)
