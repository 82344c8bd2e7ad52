"""What is read before the database library is there is what the store says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tollhouse.adapters.first_keys import first_keys
from tollhouse.adapters.sql import open_store
from tollhouse.core.identity import VirtualKey


def key(number: int, **more: object) -> VirtualKey:
    fields = {
        "id": f"key_{number}",
        "name": f"n{number}",
        "digest": f"d{number}",
        "routes": ("a", "b-*"),
        "created_at": 1.5,
    }
    return VirtualKey(**{**fields, **more})


def test_keys_and_version_are_those_of_the_store(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.add_key(key(1, team="search", expires_at=2.5, hint="sk-…"))
    store.add_key(key(2))
    store.revoke_key("key_1", 9.5)
    version, keys = store.keys()
    assert first_keys(tmp_path / "books.db") == (version, tuple(keys))
    store.close()
    assert first_keys(tmp_path / "books.db") == (version, tuple(keys))
    assert len(keys) == 2


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


def test_database_library_is_not_loaded() -> None:
    code = "import sys, tollhouse.adapters.first_keys; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
