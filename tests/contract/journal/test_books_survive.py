"""The promise over journal and store together: what was promised stands in the books exactly once.

Histories of a writer that dies at any byte of its last write, and of a feeder that dies at any of its steps.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store.samples import AT, auth_event, exchange_id, intent, settled, settlement
from tollhouse.adapters.journal import FileJournal, FileJournalReader
from tollhouse.adapters.sql import SqlStore, open_store
from tollhouse.core.exchange import Outcome
from tollhouse.ports.journal import JournalFault
from tollhouse.runtime.feeder import Feeder


class Killed(Exception):
    """The feeder's process ends here."""


class Mortal:
    """Passes calls on, and dies before or after the one that is told."""

    def __init__(self, within: object, dies: Callable[[], bool]) -> None:
        self._within = within
        self._dies = dies

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._within, name)
        if name in ("claim", "close"):
            return method

        def call(*args: Any, **more: Any) -> Any:
            if self._dies():
                raise Killed
            given = method(*args, **more)
            if self._dies():
                raise Killed
            return given

        return call


def countdown(steps: int | None) -> Callable[[], bool]:
    left = iter(() if steps is None else [False] * steps + [True])
    return lambda: next(left, False)


@dataclass
class Promises:
    """What the writers were told, and so what must stand in the books."""

    begun: dict[int, int] = field(default_factory=dict)
    """Attempts whose intents' writes returned, by exchange."""
    settled: set[int] = field(default_factory=set)
    perhaps_begun: set[int] = field(default_factory=set)
    """Written when the process died: they may stand there or not."""
    perhaps_settled: set[int] = field(default_factory=set)
    auth: int = 0
    perhaps_auth: int = 0


class World:
    """One store, one journal's folder after another, and writers that live one after another."""

    def __init__(self, root: Path, template: Path) -> None:
        self.root = root
        shutil.copy(template, root / "books.db")
        self.store = open_store("sqlite:///books.db", root)
        self.lives = 0
        self.folder = root / "journal-0"
        self.promises = Promises()
        self.faults: list[JournalFault] = []
        self.next_number = 0
        self.alive: set[int] = set()
        """Exchanges of the writer that lives now and that have not ended: no other process can go on with them."""
        self.journal = self._born()

    def _born(self) -> FileJournal:
        return FileJournal(self.folder, f"w{self.lives:03d}", segment_bytes=900)

    def fold(self, dies_after: int | None = None) -> None:
        """Fold with a feeder that may die at a step of its own."""
        dies = countdown(dies_after)
        reader = FileJournalReader(self.folder)
        feeder = Feeder(Mortal(self.store, dies), Mortal(reader, dies), batch_entries=3)  # type: ignore[arg-type]
        try:
            report = feeder.fold()
        except Killed:
            return
        self.faults += report.faults
        assert report.is_complete

    async def begin(self, count: int) -> None:
        numbers = range(self.next_number, self.next_number + count)
        self.next_number += count
        await asyncio.gather(*(self.journal.write_ahead(intent(number)) for number in numbers))
        self.promises.begun |= dict.fromkeys(numbers, 1)
        self.alive |= set(numbers)

    async def retry(self, pick: int) -> None:
        for number in self._picked([pick]):
            await self.journal.write_ahead(intent(number, self.promises.begun[number] + 1))
            self.promises.begun[number] += 1

    async def settle(self, picks: list[int]) -> None:
        for number in self._picked(picks):
            self.journal.note(settlement(number, tries=self.promises.begun[number]))
            self.promises.settled.add(number)
            self.alive.remove(number)
        await self._written()

    async def log_in(self, count: int) -> None:
        for n in range(count):
            self.journal.note(auth_event(at=AT + n))
        self.promises.auth += count
        await self._written()

    async def crash(self, beginning: int, picks: list[int], logins: int, kept: float) -> None:
        """One last write, of which a part reached the disk; then another process goes on with the folder.

        A copy of the folder has no locks that anybody holds: it is what is left when all writers are dead.
        """
        before = self._sizes()
        numbers = range(self.next_number, self.next_number + beginning)
        self.next_number += beginning
        waiting = [asyncio.ensure_future(self.journal.write_ahead(intent(number))) for number in numbers]
        await asyncio.sleep(0)
        picked = self._picked(picks)
        for number in picked:
            self.journal.note(settlement(number, tries=self.promises.begun[number]))
        for n in range(logins):
            self.journal.note(auth_event(at=AT + n))
        await self._written()
        await asyncio.gather(*waiting)
        after = self._sizes()
        self.promises.perhaps_begun |= set(numbers)
        self.promises.perhaps_settled |= set(picked)
        self.promises.perhaps_auth += logins
        await self._die(before, after, kept)

    async def _die(self, before: dict[str, int], after: dict[str, int], kept: float) -> None:
        left = self.folder.with_name(f"journal-{self.lives + 1}")
        shutil.copytree(self.folder, left)
        grown = [name for name in after if after[name] != before.get(name, 0)]
        assert len(grown) <= 1, "a turn of the loop is one write"
        for name in grown:
            start = before.get(name, 0)
            os.truncate(left / name, start + round(kept * (after[name] - start)))
        self.journal.close()
        self.alive = set()
        self.folder, self.lives = left, self.lives + 1
        self.journal = self._born()

    async def _written(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    def _picked(self, picks: list[int]) -> list[int]:
        alive = sorted(self.alive)
        return sorted({alive[pick % len(alive)] for pick in picks}) if alive else []

    def _sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.folder.glob("*.journal")}

    def end(self) -> None:
        self.journal.close()
        self.fold()

    def check(self) -> None:
        """The books hold what was promised, once, and nothing that never was."""
        promises = self.promises
        rows = {int(row.id[-8:]): row for row in self.store.exchanges(limit=10_000)}
        assert promises.begun.keys() <= rows.keys() <= promises.begun.keys() | promises.perhaps_begun
        for number, row in rows.items():
            tries = promises.begun.get(number, 1)
            if number in promises.settled:
                assert row == settled(number, tries=tries)
                continue
            allowed = {Outcome.CUT} | ({Outcome.OK} if number in promises.perhaps_settled else set())
            assert row.outcome in allowed
            assert [made.number for made in row.attempts] == list(range(1, tries + 1))
            if row.outcome is Outcome.CUT:
                assert all(made.outcome is Outcome.CUT and made.is_estimated for made in row.attempts)
        counted = sum(event.count for event in self.store.auth_events(limit=10_000))
        assert promises.auth <= counted <= promises.auth + promises.perhaps_auth
        assert all(fault.is_torn for fault in self.faults)
        assert list(self.store.positions()) == []
        assert [path.name for path in self.folder.iterdir()] == ["folding.claim"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy: making one takes longer than a history."""
    folder = tmp_path_factory.mktemp("template")
    store = open_store("sqlite:///books.db", folder)
    store.prepare()
    store.close()
    return folder / "books.db"


picks = st.lists(st.integers(0, 50), max_size=5)
steps = st.one_of(
    st.tuples(st.just("begin"), st.integers(1, 5)),
    st.tuples(st.just("retry"), st.integers(0, 50)),
    st.tuples(st.just("settle"), picks),
    st.tuples(st.just("log_in"), st.integers(1, 3)),
    st.tuples(st.just("fold"), st.none() | st.integers(0, 40)),
    st.tuples(st.just("crash"), st.integers(0, 3), picks, st.integers(0, 2), st.floats(0, 1)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=st.lists(steps, max_size=14), last_feeders=st.lists(st.integers(0, 40), max_size=3))
def test_every_promised_exchange_stands_in_the_books_once_whoever_dies_when(
    history: list[tuple[Any, ...]],
    last_feeders: list[int],
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def live(world: World) -> None:
        for name, *values in history:
            done = getattr(world, name)(*values)
            if name != "fold":
                await done
        world.journal.close()

    root = tmp_path_factory.mktemp("world")
    world = World(root, template)
    try:
        asyncio.run(live(world))
        for dies_after in last_feeders:
            world.fold(dies_after)
        world.end()
        world.check()
    finally:
        world.journal.close()
        world.store.close()
        shutil.rmtree(root)


@pytest.mark.parametrize("dies_after", range(60))
def test_feeder_that_dies_at_any_step_is_carried_on_by_the_next(
    dies_after: int, template: Path, tmp_path: Path
) -> None:
    """The same journal each time: two segments and more, a retry, open ends, a torn write."""

    async def live(world: World) -> None:
        await world.begin(4)
        await world.retry(1)
        await world.log_in(2)
        await world.settle([0, 3])
        await world.crash(2, [1], 1, 0.7)
        await world.begin(2)
        await world.settle([4])
        world.journal.close()

    world = World(tmp_path, template)
    try:
        asyncio.run(live(world))
        world.fold(dies_after)
        world.fold(dies_after // 2)
        world.end()
        world.check()
    finally:
        world.store.close()


WRITER = """
import asyncio, os, sys, uvloop
from pathlib import Path
from contract.store.samples import intent, settlement
from tollhouse.adapters.journal import FileJournal

async def one(journal, number):
    await journal.write_ahead(intent(number))
    os.write(1, b"begun %d\\n" % number)
    await asyncio.sleep(number % 7 / 1000)
    if number % 5:
        journal.note(settlement(number))
        wrote = journal.entries
        while journal.entries == wrote:
            await asyncio.sleep(0)
        os.write(1, b"settled %d\\n" % number)

async def main():
    journal = FileJournal(Path(sys.argv[1]), "w1", segment_bytes=20_000)
    number = 0
    while True:
        await asyncio.gather(*(one(journal, number + n) for n in range(20)))
        number += 20

uvloop.run(main())
"""


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "journal")],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with child:
        yield child
        child.kill()


def test_what_was_promised_survives_kill_9_while_it_is_folded(
    writing: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert writing.stdout is not None
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    feeder = Feeder(store, FileJournalReader(tmp_path / "journal"), batch_entries=50)
    told = [writing.stdout.readline()]
    while len(told) < 1500:
        told += [writing.stdout.readline() for _ in range(100)]
        assert feeder.fold(max_batches=3).faults == ()
    writing.send_signal(signal.SIGKILL)
    told += writing.stdout.readlines()
    writing.wait(30)
    report = feeder.fold()
    begun, ended = (
        {int(line.split()[1]) for line in told if line.startswith(word) and line.endswith(b"\n")}
        for word in (b"begun", b"settled")
    )
    rows = {int(row.id[-8:]): row for row in store.exchanges(limit=100_000)}
    store.close()
    assert report.is_complete
    assert all(fault.is_torn for fault in report.faults)
    assert begun <= rows.keys()
    assert {number for number, row in rows.items() if row.outcome is Outcome.OK} >= ended
    assert {row.outcome for row in rows.values()} == {Outcome.OK, Outcome.CUT}
    assert {rows[number].outcome for number in begun if number % 5 == 0} == {Outcome.CUT}


def test_twenty_thousand_records_fold_in_reasonable_time(tmp_path: Path) -> None:
    count = 20_000

    async def main() -> None:
        journal = FileJournal(tmp_path / "journal", "w1")

        async def one(start: int) -> None:
            for number in range(start, count, 50):
                await journal.write_ahead(intent(number))
                journal.note(settlement(number))

        await asyncio.gather(*(one(start) for start in range(50)))
        journal.close()

    uvloop.run(main())
    store: SqlStore = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    began = time.monotonic()
    report = Feeder(store, FileJournalReader(tmp_path / "journal")).fold()
    assert time.monotonic() - began < 60, (
        "about a second on one core; the bound is for machines that are busy"
    )
    assert report.entries == 2 * count
    assert report.exchanges < 1.2 * count, "most exchanges cost one row"
    assert store.exchange(exchange_id(count - 1)) == settled(count - 1)
    assert store.usage("route")[0].requests == count
    store.close()
