"""What is read before the database library is there is what the store says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from tollhouse.adapters.first_keys import first_keys, first_rules
from tollhouse.adapters.sql import open_store
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Budget, Limits, Period
from tollhouse.core.pauses import Pause, PauseKind
from tollhouse.core.people import Account, AccountKind, Organisation, Project, Team


def key(number: int, **more: object) -> VirtualKey:
    fields = {
        "id": f"key_{number}",
        "name": f"n{number}",
        "digest": f"d{number}",
        "routes": ("a", "b-*"),
        "created_at": 1.5,
    }
    return VirtualKey(**{**fields, **more})


FULL = key(
    3,
    disabled_at=3.5,
    former_digest="before",
    former_until=4.5,
    limits=Limits(requests_per_minute=60, concurrency=2),
    budget=Budget(nanousd=10**10, period=Period.MONTH, timezone="Europe/Berlin", alerts_percent=(50,)),
    doors=("chat",),
    networks=("10.0.0.0/8",),
    hours=("Mon-Fri 08:00-18:00 Europe/Berlin",),
    tags=("ci", "ü"),
    max_output_tokens=4096,
    metadata={"owner": "ops"},
    project="prj_1",
    account="svc_1",
)


def test_keys_and_version_are_those_of_the_store(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.add_key(key(1, team="search", expires_at=2.5, hint="sk-…"))
    store.add_key(key(2))
    store.add_key(FULL)
    store.revoke_key("key_1", 9.5)
    version, keys = store.keys()
    assert first_keys(tmp_path / "books.db") == (version, tuple(keys))
    store.close()
    assert first_keys(tmp_path / "books.db") == (version, tuple(keys))
    assert [key.id for key in keys] == ["key_1", "key_2", "key_3"]
    assert replace(keys[2], version=0) == FULL


def test_missing_database_is_not_made(tmp_path: Path) -> None:
    assert first_keys(tmp_path / "books.db") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_file_that_is_no_store_is_left_to_the_store(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "books.db"
    path.write_bytes(content)
    assert first_keys(path) is None
    assert path.read_bytes() == content


def test_other_schema_is_left_to_the_store(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE keys_version (version INTEGER)")
        made.execute("INSERT INTO keys_version VALUES (1)")
        made.execute("CREATE TABLE keys (id TEXT)")
    made.close()
    assert first_keys(path) is None


def test_schema_of_the_release_before_is_left_to_the_store(tmp_path: Path) -> None:
    """It has no column for what a key may use, and a key without its limits must not be let in."""
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.add_key(FULL)
    store.close()
    path = tmp_path / "books.db"
    with sqlite3.connect(path) as older:
        older.execute("ALTER TABLE keys DROP COLUMN limits")
    older.close()
    assert first_keys(path) is None


@pytest.mark.parametrize("column", ["limits", "budget", "routes", "created_at"])
def test_key_that_cannot_be_read_is_left_to_the_store(tmp_path: Path, column: str) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.add_key(FULL)
    store.close()
    path = tmp_path / "books.db"
    with sqlite3.connect(path) as damaged:
        damaged.execute(f"UPDATE keys SET {column} = 'x'")
    damaged.close()
    assert first_keys(path) is None


def test_database_of_a_server_is_left_to_the_store() -> None:
    assert first_keys(Path("postgresql://keeper:secret@127.0.0.1/books")) is None


def test_database_library_is_not_loaded() -> None:
    code = "import sys, tollhouse.adapters.first_keys; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_rules_are_those_of_the_store(tmp_path: Path) -> None:
    assert first_rules(tmp_path / "books.db") is None
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    assert first_rules(tmp_path / "books.db") == store.house_rules()
    budget = Budget(nanousd=10**9, period=Period.DAY, timezone="Europe/Berlin")
    with store.administering() as register:
        for record in (
            Organisation(id="main", title="all", limits=Limits(concurrency=9), metadata={"a": "b"}),
            Team(id="search", routes=("gpt*",), budget=budget),
            Team(id="unbounded"),
            Project(id="prj_1", team="search", routes=(), limits=Limits(requests_per_minute=3)),
            Account(id="svc_1", kind=AccountKind.SERVICE, name="bot", budget=budget),
            Pause(id="p", kind=PauseKind.ROUTE, target="gpt", reason="stop", by="root", at=1.5),
        ):
            register.put(record)
        register.touch_rules()
    rules = store.house_rules()
    assert rules is not None
    assert len(rules.scopes) == 4
    assert (rules.team_routes, rules.project_routes) == ({"search": ("gpt*",)}, {"prj_1": ()})
    assert first_rules(tmp_path / "books.db") == rules
    store.close()


def test_rules_of_a_schema_of_an_earlier_version_are_left_to_the_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("CREATE TABLE rules_version (id INTEGER, version INTEGER)")
    old.close()
    assert first_rules(tmp_path / "old.db") is None
