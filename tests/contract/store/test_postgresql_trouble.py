"""What a store on PostgreSQL does when its server is in trouble: it says what is wrong within its time, and is itself
again as soon as the server is, by the same store object."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from contract.store.samples import batch, key, settled
from postgres_server import PASSWORD, PostgresServer, running_postgres
from tollhouse.adapters.sql import SqlStore
from tollhouse.adapters.sql.postgresql import Patience, PostgresDatabase
from tollhouse.ports.store import StoreUnavailable

pytestmark = pytest.mark.slow


BRIEF = Patience(connect_s=2, statement_s=1.0, lock_s=0.5, ping_s=0.5)
AT_MOST_S = 2 * BRIEF.connect_s + BRIEF.ping_s + 1.0 + 1.0
"""A ping, two connections and a statement, with what the client waits longer than the server."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be ill-treated, and that forgets what it has confirmed where it is not told otherwise."""
    settings = {
        "max_connections": "10",
        "superuser_reserved_connections": "3",
        "synchronous_commit": "off",
    }
    with running_postgres(**settings) as started:
        yield started


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with server.database() as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    made = SqlStore(PostgresDatabase(url, patience=BRIEF))
    made.prepare()
    made.add_key(key(1))
    yield made
    made.close()


def told(work: Callable[[], object]) -> str:
    """What the person is told, who does not wait much longer than the budgets say."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        work()
    waited_s = time.monotonic() - began
    assert waited_s < AT_MOST_S + 10, "the machine may be slow, but nothing may wait for ever"
    message = str(caught.value)
    assert PASSWORD not in message
    return message


def until_well(work: Callable[[], object]) -> int:
    """Ask until it is answered; how often it was not."""
    for failed in range(200):
        try:
            work()
        except StoreUnavailable as failure:
            last = failure
            time.sleep(0.05)
        else:
            return failed
    raise AssertionError("the store did not recover") from last


def test_store_recovers_every_time_when_its_server_dies_and_comes_back(
    server: PostgresServer, store: SqlStore
) -> None:
    for cycle in range(30):
        store.apply(batch(settled(cycle), at=cycle + 1))
        server.stop(signal.SIGQUIT)  # as `pg_ctl stop -m immediate`
        assert "cannot be used" in told(store.keys_version)
        assert "nobody listens there" in told(lambda: store.revoke_key("key_1", 1.0))
        server.start()
        assert until_well(store.keys_version) == 0, "the first call after it is back is answered"
    assert len(store.exchanges(limit=100)) == 30
    assert store.apply(batch(settled(30), at=31))


def test_hung_server_is_told_in_time_and_recovers(server: PostgresServer, store: SqlStore) -> None:
    with server.frozen():
        assert "does not answer" in told(store.keys_version)
        assert "does not answer" in told(lambda: store.add_key(key(2)))
    assert until_well(store.keys_version) == 0


def test_server_that_hangs_in_the_middle_of_a_transaction_is_told_in_time(
    server: PostgresServer, store: SqlStore
) -> None:
    def hang() -> None:
        with store._reading() as connection:
            connection.exec_driver_sql("SELECT 1")
            with server.frozen():
                connection.exec_driver_sql("SELECT 2")

    assert "does not answer" in told(hang)
    assert until_well(store.keys_version) == 0


def test_locked_table_is_told_in_time_and_usable_again_afterwards(url: str, store: SqlStore) -> None:
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE keys, exchanges IN ACCESS EXCLUSIVE MODE")
        assert "keeps a lock" in told(store.keys)
        assert "keeps a lock" in told(lambda: store.apply(batch(settled(1))))
        other.rollback()
    assert [found.id for found in store.keys()[1]] == ["key_1"]


def test_slow_statement_is_ended_by_the_server(store: SqlStore) -> None:
    def sleep() -> None:
        with store._reading() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(30)")

    assert "took too long" in told(sleep)
    assert store.keys_version() == 1


def test_transaction_of_a_stopped_process_does_not_keep_the_others_out(store: SqlStore, url: str) -> None:
    stopped = PostgresDatabase(url, patience=BRIEF)
    with pytest.raises(Exception, match=r"terminating connection|closed the connection"):
        with stopped.writing() as connection:
            connection.exec_driver_sql("UPDATE keys_version SET version = version")
            assert until_well(lambda: store.add_key(key(2))) > 0
            connection.exec_driver_sql("SELECT 1")
    stopped.close()


def test_terminated_sessions_cost_an_answer_each_at_most(server: PostgresServer, store: SqlStore) -> None:
    ended = threading.Event()
    killed = 0

    def terminate() -> None:
        nonlocal killed
        while not ended.wait(0.05):
            killed += len(
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tollhouse'"
                )
            )

    killer = threading.Thread(target=terminate)
    killer.start()
    try:
        failed = sum(until_well(lambda n=n: store.apply(batch(settled(n), at=n + 1))) for n in range(100))
        while killed < 5:
            failed += until_well(store.keys_version)
    finally:
        ended.set()
        killer.join(30)
    assert failed <= killed
    assert len(store.exchanges(limit=1000)) == 100


def test_server_without_free_connections_is_told_and_used_again_afterwards(
    server: PostgresServer, store: SqlStore, url: str
) -> None:
    store.close()
    server.execute("DROP ROLE IF EXISTS app")
    server.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data")
    as_app = url.replace("keeper:", "app:")
    other = SqlStore(PostgresDatabase(as_app, patience=BRIEF))
    with contextlib.ExitStack() as held:
        for _ in range(7):  # what the server keeps for its superusers stays
            held.enter_context(psycopg.connect(as_app))
        assert "takes no more connections" in told(other.keys_version)
    assert until_well(other.keys_version) >= 0
    other.close()


def test_connections_are_never_more_than_two(server: PostgresServer, store: SqlStore) -> None:
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: [store.keys() for _ in range(20)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ((count,),) = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tollhouse'"
        )
        seen.append(int(str(count)))
    assert max(seen) <= 2


def test_read_only_server_is_told_and_written_to_again_afterwards(
    server: PostgresServer, store: SqlStore
) -> None:
    with server.configured({"default_transaction_read_only": "on"}):
        assert "it is read-only" in told(lambda: store.add_key(key(2)))
        assert store.keys_version() == 1, "reading goes on"
    assert until_well(lambda: store.add_key(key(2))) == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda url: url.replace(PASSWORD, "wrong"), "does not let this user in"),
        (lambda url: url.replace("keeper:", "nobody:"), "does not let this user in"),
        (lambda url: url.replace("/books_", "/gone_"), "no such database"),
        (lambda url: url + "?sslmode=require", "cannot be encrypted"),
        (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "its host has no address"),
        (lambda url: url + "?target_session_attrs=read-only", "target_session_attrs"),
    ],
    ids=["password", "user", "database", "tls", "host", "state"],
)
def test_server_that_cannot_be_reached_is_told_with_what_to_do(
    url: str, change: Callable[[str], str], word: str
) -> None:
    store = SqlStore(PostgresDatabase(change(url), patience=BRIEF))
    message = told(store.prepare)
    assert word in message
    store.close()


def test_store_that_was_never_prepared_is_told(url: str) -> None:
    store = SqlStore(PostgresDatabase(url, patience=BRIEF))
    assert "Run `tollhouse store migrate`" in told(store.keys_version)
    store.close()


def test_user_without_rights_is_told(server: PostgresServer, store: SqlStore, url: str) -> None:
    server.execute("DROP ROLE IF EXISTS guest")
    server.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    guest = SqlStore(PostgresDatabase(url.replace("keeper:", "guest:"), patience=BRIEF))
    assert "Let their owner GRANT it" in told(guest.keys_version)
    guest.close()


def test_database_that_cannot_hold_every_text_is_not_used(server: PostgresServer) -> None:
    url = server.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0")
    store = SqlStore(PostgresDatabase(url, patience=BRIEF))
    assert "ENCODING 'UTF8'" in told(store.prepare)
    store.close()
