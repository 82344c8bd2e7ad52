"""Database and Redis are away, for long, and nobody who is known notices; afterwards nothing is missing (S01-S06, S12,
S13).

What takes hours in life takes seconds here: nothing in the houses runs out in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from house import House, free_port
from postgres_server import PostgresServer, running_postgres
from proofs.biller import Biller
from proofs.slow_way import SlowWay
from proofs.town import MASTER_KEY, ask, config, kill_a_worker, rush, town, wait_until_known
from redis_server import running_redis
from tollhouse.core.ids import virtual_key_text

pytestmark = pytest.mark.slow

T = TypeVar("T")
ADMIN_KEY = "the-operators-own-key-4711-xQ"
DOLLAR = ("--budget-usd", "1", "--budget-period", "total")
CENTS = 100
AWAY_S = 6.0
CYCLES = 30
CALLERS = 6
SNAPSHOT = Path("tollhouse-journal") / "store.snapshot"


class Callers:
    """People who call all the time, each when the call before has been answered, on connections that are kept."""

    def __init__(self, urls: Sequence[str], key: str) -> None:
        self._urls = urls
        self._key = key
        self.ends: Counter[str] = Counter()
        self._are_leaving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._call_all()), name="callers")

    async def _call_all(self) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(
                *[self._call(session, self._urls[number % len(self._urls)]) for number in range(CALLERS)]
            )

    async def _call(self, session: aiohttp.ClientSession, url: str) -> None:
        while not self._are_leaving.is_set():
            self.ends[await ask(session, url, self._key)] += 1
            await asyncio.sleep(0.02)

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self.leave()

    def leave(self) -> None:
        self._are_leaving.set()
        self._thread.join()


def unknown_key() -> str:
    """A whole key that no house has made."""
    return virtual_key_text(os.urandom(32))


def end_of(house: House, key: str) -> str:
    return next(iter(asyncio.run(rush([house.url], key, 1))))


def until(what: Callable[[], bool], patience_s: float, told: str) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, told
        time.sleep(0.05)


def until_ends(house: House, key: str, wanted: str, patience_s: float = 20.0) -> None:
    until(lambda: end_of(house, key) == wanted, patience_s, f"it did not come to {wanted}")


def until_in_snapshot(house: House, key_id: str) -> None:
    """A key's id stands in the file as it is; its text does not."""
    file = house.folder / SNAPSHOT
    until(
        lambda: file.exists() and key_id.encode() in file.read_bytes(), 10.0, "the snapshot was not written"
    )


def administer(house: House, method: str, path: str, body: object = None) -> tuple[int, float]:
    """The status of what the admin API answers, and after how many seconds."""
    began = time.monotonic()
    document = json.dumps(body).encode() if body is not None else None
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
    status, _, _ = house.call(method, path, document, headers)
    return status, time.monotonic() - began


def events(house: House, name: str) -> list[dict[str, object]]:
    return [event for event in house.events() if event["event"] == name]


def booked(server: PostgresServer, url: str, key_id: str) -> Counter[str]:
    """How the calls of a key have ended, by the ledger."""
    of_key = f"key_id = '{key_id}' AND operation = 'chat'"
    rows = server.execute(f"SELECT outcome, count(*) FROM exchanges WHERE {of_key} GROUP BY outcome", url)
    return Counter({str(outcome): int(str(count)) for outcome, count in rows})


def until_booked(server: PostgresServer, url: str, key_id: str, ok: int) -> None:
    """Exactly so many are settled well, none twice and none missing, and it stays so."""
    until(lambda: booked(server, url, key_id)["ok"] >= ok, 20.0, "exchanges are missing in the ledger")
    time.sleep(0.6)
    assert booked(server, url, key_id)["ok"] == ok


def until_administered(house: House) -> None:
    until(lambda: administer(house, "GET", "/admin/v1/teams")[0] == 200, 30.0, "the admin API stayed closed")


def at_once(count: int, what: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(what) for _ in range(count)]]


def by(way: SlowWay, url: str) -> str:
    """The same database by another way."""
    return url.replace(f":{way.server_port}/", f":{way.port}/")


@contextmanager
def one_house(folder: Path, upstream: str, store: str, **more: object) -> Iterator[House]:
    env = {"TOLLHOUSE_STORE": store, "TOLLHOUSE_MASTER_KEY": MASTER_KEY, "TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}
    house = House(folder, config(upstream, **more), env)  # type: ignore[arg-type]
    house.start()
    try:
        yield house
    finally:
        if house.is_running:
            house.stop()


@pytest.mark.slow
def test_database_and_redis_are_dead_and_nobody_who_is_known_notices(tmp_path: Path) -> None:
    with (
        running_postgres() as postgres,
        running_redis(tmp_path / "redis") as redis,
        Biller(delay_s=0.02) as biller,
    ):
        store = postgres.new_database()
        with town(tmp_path, biller.base_url, 2, workers=2, store=store, shared=redis.url) as houses:
            first, second = houses
            free = first.new_key_with_id("gpt", name="free", more=("--requests-per-minute", "1000000"))
            thrifty = first.new_key_with_id("gpt", name="thrifty", more=DOLLAR)
            for house in houses:
                until_in_snapshot(house, thrifty["id"])
                assert free["key"].encode() not in (house.folder / SNAPSHOT).read_bytes()
            wait_until_known(houses, thrifty["key"])
            spent = 0
            for _ in range(5):
                assert end_of(first, thrifty["key"]) == "200"
                spent += 1

            with Callers([first.url], free["key"]) as callers:
                time.sleep(1.0)
                postgres.stop(signal.SIGQUIT)
                redis.kill()
                time.sleep(AWAY_S)

                # With money in hand a worker goes on; then it does not know what is left.
                ends = asyncio.run(rush([first.url, second.url], thrifty["key"], 60))
                spent += ends["200"]
                assert set(ends) <= {"200", "limits_unavailable"}
                assert spent <= CENTS
                until_ends(second, unknown_key(), "auth_unavailable")

                # A house that is killed comes back without either of them.
                second.kill()
                began = time.monotonic()
                second.start()
                print(f"a house was killed and served by its snapshot after {time.monotonic() - began:.2f} s")
                assert events(second, "serving_by_snapshot")
                others = asyncio.run(rush([second.url], free["key"], 50))
                assert others == {"200": 50}
                answered = 50
                assert {end_of(second, unknown_key()) for _ in range(10)} == {"auth_unavailable"}
                assert end_of(second, thrifty["key"]) == "limits_unavailable"

                # So does a worker.
                started = len(events(second, "worker_started"))
                kill_a_worker(second)
                until(lambda: len(events(second, "worker_started")) > started, 20.0, "no worker followed")
                others = asyncio.run(rush([second.url], free["key"], 50))
                assert others == {"200": 50}
                answered += 50
                assert {end_of(second, unknown_key()) for _ in range(10)} == {"auth_unavailable"}

                back = time.monotonic()
                postgres.start()
                redis.start()
                for house in houses:
                    until_ends(house, unknown_key(), "unauthenticated")
                print(f"both houses knew who is unknown again after {time.monotonic() - back:.2f} s")
                made = second.new_key("gpt", name="made afterwards")
                wait_until_known(houses, made, 20.0)

                # The money comes back when all that was handed out before has run out.
                until_ends(second, thrifty["key"], "200", 120.0)
                spent += 1
                print(f"budgets were open again after {time.monotonic() - back:.2f} s")
                ends = asyncio.run(rush([first.url, second.url], thrifty["key"], 200))
                spent += ends["200"]
                assert set(ends) <= {"200", "budget_exceeded", "limits_unavailable"}
                assert spent <= CENTS

                callers.leave()
                print(f"while they were away and came back: {dict(callers.ends)}")
                assert set(callers.ends) == {"200"}
                until_booked(postgres, store, free["id"], callers.ends["200"] + answered)
                until_booked(postgres, store, thrifty["id"], spent)
                assert biller.billed == callers.ends["200"] + answered + spent


@pytest.mark.slow
def test_house_comes_back_to_a_database_that_dies_again_and_again(tmp_path: Path) -> None:
    """Thirty times out of thirty, and everybody is served meanwhile."""
    with running_postgres() as postgres, Biller(delay_s=0.01) as biller:
        store = postgres.new_database()
        with one_house(tmp_path, biller.base_url, store) as house:
            key = house.new_key_with_id("gpt")
            with Callers([house.url], key["key"]) as callers:
                for number in range(CYCLES):
                    postgres.stop(signal.SIGQUIT if number % 2 else signal.SIGINT)
                    until_ends(house, unknown_key(), "auth_unavailable")
                    postgres.start()
                    until_ends(house, unknown_key(), "unauthenticated")
                assert administer(house, "GET", "/admin/v1/teams")[0] == 200
                callers.leave()
            assert set(callers.ends) == {"200"}
            until_booked(postgres, store, key["id"], callers.ends["200"])
            assert end_of(house, house.new_key("gpt", name="made afterwards")) == "200"


@pytest.mark.slow
def test_database_that_is_slow_is_as_good_as_away(tmp_path: Path) -> None:
    """Two seconds for every answer: the admin API says so, nothing piles up, and callers notice nothing."""
    with running_postgres() as postgres, SlowWay(postgres.port) as way, Biller(delay_s=0.01) as biller:
        url = postgres.new_database()
        with one_house(tmp_path, biller.base_url, by(way, url)) as house:
            key = house.new_key_with_id("gpt")
            assert administer(house, "GET", "/admin/v1/teams")[0] == 200
            with Callers([house.url], key["key"]) as callers:
                way.delay_s = 2.0
                time.sleep(2.0)
                answers = at_once(40, lambda: administer(house, "GET", "/admin/v1/teams"))
                assert {status for status, _ in answers} == {503}
                print(f"told within {max(seconds for _, seconds in answers):.2f} s that the database is slow")
                assert way.most_connections <= 4
                way.delay_s = 0.0
                until_administered(house)
                callers.leave()
            assert set(callers.ends) == {"200"}
            until_booked(postgres, url, key["id"], callers.ends["200"])


@pytest.mark.slow
def test_house_that_starts_while_its_database_hangs_serves_those_it_knows(tmp_path: Path) -> None:
    with (
        running_postgres() as postgres,
        Biller(delay_s=0.01) as biller,
        one_house(tmp_path, biller.base_url, postgres.new_database()) as house,
    ):
        key = house.new_key_with_id("gpt")
        until_in_snapshot(house, key["id"])
        house.stop()
        with postgres.frozen():
            began = time.monotonic()
            house.start()
            print(f"a house served by its snapshot after {time.monotonic() - began:.2f} s")
            assert end_of(house, key["key"]) == "200"
            assert end_of(house, unknown_key()) == "auth_unavailable"
            status, seconds = administer(house, "GET", "/admin/v1/teams")
            print(f"the admin API said {status} after {seconds:.2f} s")
            assert status == 503
        until_ends(house, unknown_key(), "unauthenticated", 30.0)
        until_administered(house)


@pytest.mark.slow
def test_file_that_another_process_keeps_locked_stops_nobody_but_the_operator(tmp_path: Path) -> None:
    with Biller(delay_s=0.01) as biller, one_house(tmp_path, biller.base_url, "sqlite:///books.db") as house:
        key = house.new_key_with_id("gpt")
        with Callers([house.url], key["key"]) as callers:
            with closing(sqlite3.connect(house.folder / "books.db", isolation_level=None)) as locking:
                locking.execute("BEGIN EXCLUSIVE")
                end = time.monotonic() + 30.0
                answers = []
                while time.monotonic() < end:
                    answers.append(administer(house, "POST", "/admin/v1/teams", {"id": "search"}))
                locking.execute("ROLLBACK")
            print(f"the admin API said 503 within {max(seconds for _, seconds in answers):.2f} s")
            assert {status for status, _ in answers} == {503}
            until_administered(house)
            callers.leave()
        assert set(callers.ends) == {"200"}
        house.stop()
        with closing(sqlite3.connect(house.folder / "books.db")) as books:
            (rows,) = books.execute("SELECT count(*) FROM exchanges WHERE outcome = 'ok'").fetchone()
        assert rows == callers.ends["200"]


class TestStartWithoutTheDatabase:
    """What a house does that begins with nothing but its own disk."""

    @pytest.fixture
    def way(self, postgres_server: PostgresServer) -> Iterator[SlowWay]:
        with SlowWay(postgres_server.port) as way:
            yield way

    @pytest.fixture
    def house(self, tmp_path: Path, postgres_server: PostgresServer, way: SlowWay) -> Iterator[House]:
        """It has been open once, knows a key, and is closed."""
        url = by(way, postgres_server.new_database())
        with Biller(delay_s=0.0) as biller, one_house(tmp_path, biller.base_url, url) as house:
            self.key = house.new_key_with_id("gpt")
            self.thrifty = house.new_key_with_id("gpt", more=DOLLAR)
            until_in_snapshot(house, self.thrifty["id"])
            house.stop()
            yield house

    def refused(self, house: House) -> str:
        with pytest.raises(AssertionError, match="the house did not say 'ready'") as told:
            house.start()
        return str(told.value)

    def change(self, house: House, most_hours: float) -> None:
        tree = json.loads(house.config.read_text())
        tree["server"]["snapshot_max_age_hours"] = most_hours
        house.config.write_text(json.dumps(tree))

    def test_it_serves_those_it_knows_and_takes_over_what_has_changed(
        self, house: House, way: SlowWay
    ) -> None:
        with way.closed():
            house.start()
            assert events(house, "serving_by_snapshot")[0]["keys"] == 2
            assert end_of(house, self.key["key"]) == "200"
            assert end_of(house, unknown_key()) == "auth_unavailable"
            # Somebody who reaches the store makes a key, and stops the other one.
            url = house.env["TOLLHOUSE_STORE"]
            house.env["TOLLHOUSE_STORE"] = url.replace(f":{way.port}/", f":{way.server_port}/")
            done = house.run("keys", "create", "--name", "new", "--route", "gpt", "--json", check=False)
            assert "the running house has not confirmed it" in done.stderr
            made = json.loads(done.stdout)["key"]
            house.run("keys", "revoke", self.key["id"], check=False)
            house.env["TOLLHOUSE_STORE"] = url
            assert end_of(house, made) == "auth_unavailable"
        ends = []
        until(lambda: ends.append(end_of(house, made)) or ends[-1] == "200", 20.0, "it did not become known")
        assert set(ends) <= {"auth_unavailable", "200"}
        until_ends(house, self.key["key"], "unauthenticated")
        assert events(house, "store_opened")

    def test_budgets_wait_for_the_ledger_and_then_go_on_where_they_were(
        self, house: House, way: SlowWay
    ) -> None:
        house.start()
        ends = asyncio.run(rush([house.url], self.thrifty["key"], CENTS - 10))
        assert ends == {"200": CENTS - 10}
        house.kill()
        with way.closed():
            house.start()
            ends = asyncio.run(rush([house.url], self.thrifty["key"], 20))
            assert ends == {"limits_unavailable": 20}
        until_ends(house, self.thrifty["key"], "200", 40.0)
        ends = asyncio.run(rush([house.url], self.thrifty["key"], 20))
        assert ends == {"200": 9, "budget_exceeded": 11}

    def test_what_is_paused_stays_paused(self, house: House, way: SlowWay) -> None:
        house.start()
        house.run("pause", "start", "route", "gpt", "--reason", "It costs too much today.")
        until_in_snapshot(house, "It costs too much today.")
        assert end_of(house, self.key["key"]) == "overloaded"
        house.stop()
        with way.closed():
            house.start()
            assert end_of(house, self.key["key"]) == "overloaded"
        until(lambda: house.run("pause", "list", check=False).returncode == 0, 20.0, "the store stayed away")
        (pause,) = json.loads(house.run("pause", "list", "--json").stdout)
        house.run("pause", "end", pause["id"])
        until_ends(house, self.key["key"], "200")

    def test_snapshot_that_was_altered_is_refused(self, house: House, way: SlowWay) -> None:
        file = house.folder / SNAPSHOT
        content = file.read_bytes()
        file.write_bytes(content.replace(b"gpt", b"gp*"))
        assert file.read_bytes() != content
        with way.closed():
            told = self.refused(house)
        assert "snapshot_refused" in told
        assert "altered" in told

    @pytest.mark.slow
    def test_snapshot_of_a_house_with_another_master_key_is_refused(self, house: House, way: SlowWay) -> None:
        house.env["TOLLHOUSE_MASTER_KEY"] = "another-master-key-Zq8Rt5WxYb3nHj6v"
        with way.closed():
            told = self.refused(house)
        assert "serving_by_snapshot" not in told
        assert "nobody listens there" in told

    @pytest.mark.slow
    def test_snapshot_that_is_too_old_is_refused(self, house: House, way: SlowWay) -> None:
        self.change(house, 1e-6)
        with way.closed():
            assert "more than the 1e-06 of server.snapshot_max_age_hours" in self.refused(house)

    @pytest.mark.slow
    def test_snapshot_is_not_gone_by_where_that_is_not_wanted(self, house: House, way: SlowWay) -> None:
        self.change(house, 0)
        with way.closed():
            told = self.refused(house)
        assert "snapshot" not in told
        assert "nobody listens there" in told

    def test_url_with_a_mistake_in_it_is_told_of_and_not_served_around(
        self, house: House, way: SlowWay
    ) -> None:
        url = house.env["TOLLHOUSE_STORE"]
        house.env["TOLLHOUSE_STORE"] = url.replace(f":{way.port}/", f":{free_port()}/")
        told = self.refused(house)
        assert "of another store" in told
        assert "nobody listens there" in told
