"""How a PostgreSQL store is found, what it asks of the server, and what its errors are told as."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from contract.store.samples import key
from postgres_server import PASSWORD
from tollhouse.adapters.sql import SqlStore, open_store
from tollhouse.adapters.sql.postgresql import Patience, PostgresDatabase
from tollhouse.adapters.sql.postgresql_faults import meaning, refusal
from tollhouse.adapters.sql.storable import storable
from tollhouse.ports.store import StoreRefused, StoreUnavailable


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://keeper:hunter2@db.internal:6432/books", "books at db.internal:6432"),
        ("postgresql://keeper:hunter2@db.internal/books?sslmode=require", "books at db.internal"),
        ("postgresql://keeper:hunter2@a:1,b:2/books?target_session_attrs=read-write", "books at a,b:1,2"),
        ("postgresql:///books?host=/run/postgresql&password=hunter2", "books at /run/postgresql"),
        ("postgresql://keeper@/", "keeper"),
        ("postgresql://", "of this user"),
    ],
)
def test_messages_call_the_database_by_name_and_place_and_never_by_its_password(url: str, place: str) -> None:
    database = PostgresDatabase(url)
    assert database.place == place
    assert "hunter2" not in repr(vars(database)["_engine"])


def settings_of(url: str, patience: Patience | None = None) -> dict[str, str]:
    names = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "synchronous_commit",
        "application_name",
        "client_encoding",
        "transaction_isolation",
    )
    database = PostgresDatabase(url, patience=patience)
    with database.reading() as connection:
        found = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in names}
    database.close()
    return found


def test_sessions_have_time_budgets_and_confirm_what_is_on_the_disk(postgres_url: str) -> None:
    assert settings_of(postgres_url) == {
        "statement_timeout": "10s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "10s",
        "synchronous_commit": "on",
        "application_name": "tollhouse",
        "client_encoding": "UTF8",
        "transaction_isolation": "repeatable read",
    }


def test_what_the_url_says_itself_stands(postgres_url: str) -> None:
    options = "options=-c%20statement_timeout%3D7s%20-c%20synchronous_commit%3Dremote_apply"
    found = settings_of(f"{postgres_url}?{options}&application_name=books")
    assert (found["statement_timeout"], found["lock_timeout"]) == ("7s", "5s")
    assert (found["synchronous_commit"], found["application_name"]) == ("remote_apply", "books")


def test_migrations_may_take_their_time_but_wait_for_nobody(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url, patience=Patience(statement_s=1.0, lock_s=2.0))
    with database.migrating() as connection:
        found = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("statement_timeout", "lock_timeout")
        ]
        connection.exec_driver_sql("SELECT pg_sleep(1.2)")
    database.close()
    assert found == ["0", "2s"]


def test_migration_that_is_under_way_elsewhere_is_told(postgres_url: str, tmp_path: Path) -> None:
    database = PostgresDatabase(postgres_url, patience=Patience(lock_s=0.2))
    store = SqlStore(database)
    with PostgresDatabase(postgres_url).migrating():
        with pytest.raises(StoreUnavailable, match="keeps a lock"):
            store.migrate()
    store.prepare()
    store.close()


def test_refusal_names_no_values(postgres_url: str, tmp_path: Path) -> None:
    store = open_store(postgres_url, tmp_path)
    store.prepare()
    store.add_key(key(1, hint="canary-hint"))
    for bad in (key(1, digest="canary-digest"), key(2, max_output_tokens=2**70)):
        with pytest.raises(StoreRefused) as caught:
            store.add_key(bad)
        assert "canary" not in str(caught.value)
        assert str(2**70) not in str(caught.value)
    assert store.keys_version() == 1
    store.close()


def test_text_too_long_for_an_index_is_a_refusal_and_no_outage(postgres_url: str, tmp_path: Path) -> None:
    """A row that can never be stored must not be tried for ever, and keep the others out of the books."""
    store = open_store(postgres_url, tmp_path)
    store.prepare()
    # What cannot be compressed is what meets the bound.
    long = "".join(chr(0x4E00 + (n * n * 31) % 20_000) for n in range(6000))
    with pytest.raises(StoreRefused, match="too long for its index"):
        store.add_key(key(1, digest=long))
    store.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (psycopg.errors.QueryCanceled("canary"), "took too long"),
        (psycopg.errors.DiskFull("canary"), "disk is full"),
        (psycopg.errors.DeadlockDetected("canary"), "Try again"),
        (psycopg.errors.InsufficientPrivilege("canary"), "GRANT"),
        (psycopg.errors.CannotConnectNow("canary"), "starting, stopping or recovering"),
        (psycopg.errors.ReadOnlySqlTransaction("canary"), "read-only"),
        (psycopg.errors.IoError("canary"), "its machine does not read or write"),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), "starting, stopping"),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), "no more connections"),
        (psycopg.OperationalError("the tape is torn"), "it says: the tape is torn."),
    ],
)
def test_error_is_told_in_words_a_person_can_act_on(fault: psycopg.Error, words: str) -> None:
    assert words in meaning(fault)
    assert "canary" not in meaning(fault)
    assert refusal(fault) is None


def test_value_that_does_not_fit_is_a_refusal() -> None:
    assert (
        refusal(psycopg.errors.UniqueViolation("canary")) == "it has one with the same id or digest already"
    )
    assert refusal(psycopg.errors.NotNullViolation("canary")) == (
        "a value is not one that its column takes (NotNullViolation)"
    )


def test_every_nul_becomes_its_symbol_and_nothing_else_changes() -> None:
    assert storable("a\0b\0") == "a␀b␀"
    assert storable({"a": "\0", "b": 1, "c": ["\0", None]}) == {"a": "␀", "b": 1, "c": ["␀", None]}
    assert storable((b"\0", 1.5, "x")) == (b"\0", 1.5, "x")


def run_apart(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_missing_driver_is_told_with_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from pathlib import Path\n"
        "from tollhouse.adapters.sql import open_store\n"
        "try:\n    open_store('postgresql://keeper:hunter2@db/books', Path('.'))\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    said = run_apart(code)
    assert said.startswith("StoreUnavailable")
    assert "pip install 'tollhouse[postgres]'" in said
    assert PASSWORD not in said


def test_driver_is_not_loaded_for_a_file() -> None:
    code = (
        "import sys; from pathlib import Path; from tollhouse.adapters.sql import open_store\n"
        "open_store('sqlite:///books.db', Path('.')).close(); print('psycopg' in sys.modules)"
    )
    assert run_apart(code) == "False"
