"""What a journal promises to those who write."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from msgspec.structs import replace

from contract.journal.reading import everything
from contract.store.samples import auth_event, intent, settlement
from tollhouse.adapters.journal import FileJournal, FileJournalReader
from tollhouse.core.errors import ErrorKind, GatewayError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Disk:
    """Takes the place of the system call: counts, and takes only as much as there is room for."""

    def __init__(self, room_bytes: int | None = None) -> None:
        self.room_bytes = room_bytes
        self.writes: list[bytes] = []

    def __call__(self, fd: int, block: bytes) -> int:
        if self.room_bytes is not None:
            if self.room_bytes <= 0:
                raise FULL
            block = block[: self.room_bytes]
            self.room_bytes -= len(block)
        self.writes.append(block)
        return os.write(fd, block)


def run(
    folder: Path, work: Callable[[FileJournal], Awaitable[None]], writer: str = "w1", **options: Any
) -> FileJournal:
    """Let `work` use a journal on an event loop of the kind that serves, and close it."""

    async def main() -> FileJournal:
        journal = FileJournal(folder, writer, **options)
        try:
            await work(journal)
        finally:
            journal.close()
        return journal

    return uvloop.run(main())


async def turn() -> None:
    """Let the loop go round until what is due has been written."""
    for _ in range(3):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def refused(journal: FileJournal, number: int = 1) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await journal.write_ahead(intent(number))
    return caught.value


def test_intent_can_be_read_by_others_when_the_write_returned(
    folder: Path, reader: FileJournalReader
) -> None:
    async def work(journal: FileJournal) -> None:
        await journal.write_ahead(intent(1))
        assert everything(reader) == ([intent(1)], [])

    run(folder, work)


def test_entries_are_read_back_in_the_order_they_were_given(folder: Path, reader: FileJournalReader) -> None:
    given = [intent(1), auth_event(), settlement(1), settlement(2)]

    async def work(journal: FileJournal) -> None:
        await journal.write_ahead(given[0])
        for entry in given[1:]:
            journal.note(entry)

    run(folder, work)
    assert everything(reader, max_entries=1) == (given, [])


def test_everything_of_one_turn_goes_out_in_one_write_before_anybody_goes_on(folder: Path) -> None:
    disk = Disk()
    seen: list[int] = []

    async def one(journal: FileJournal, number: int) -> None:
        await journal.write_ahead(intent(number))
        seen.append(len(disk.writes))
        journal.note(settlement(number))

    async def work(journal: FileJournal) -> None:
        await asyncio.gather(*(one(journal, number) for number in range(50)))

    journal = run(folder, work, write=disk)
    assert seen == [1] * 50
    assert len(disk.writes) == journal.flushes == 2
    assert journal.entries == 100
    assert journal.written_bytes == sum(map(len, disk.writes)) - 8, "all but the segment's header"


def test_note_is_written_within_a_turn_without_anybody_waiting(
    folder: Path, reader: FileJournalReader
) -> None:
    async def work(journal: FileJournal) -> None:
        journal.note(settlement(1))
        await turn()
        assert everything(reader)[0] == [settlement(1)]

    run(folder, work)


def test_closing_writes_what_is_left_and_answers_who_waits(folder: Path, reader: FileJournalReader) -> None:
    async def work(journal: FileJournal) -> None:
        waiting = asyncio.ensure_future(journal.write_ahead(intent(1)))
        await asyncio.sleep(0)
        journal.note(settlement(2))
        journal.close()
        await waiting

    run(folder, work)
    assert everything(reader)[0] == [intent(1), settlement(2)]


def test_closed_journal_refuses_intents_and_counts_notes_as_dropped(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        journal.close()
        assert (await refused(journal)).kind is ErrorKind.OVERLOADED
        journal.note(settlement(1))

    journal = run(folder, work)
    assert (journal.refused, journal.dropped) == (1, 1)


def test_cancelled_callers_do_not_disturb_the_others(folder: Path, reader: FileJournalReader) -> None:
    async def work(journal: FileJournal) -> None:
        first, second = (asyncio.ensure_future(journal.write_ahead(intent(n))) for n in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError

    run(folder, work)
    assert everything(reader)[0] == [intent(1), intent(2)]


@pytest.mark.parametrize(
    "bad", [{"door": "\ud800"}, {"door": "x" * (1 << 20)}], ids=["not text", "too large"]
)
def test_entry_that_cannot_be_written_fails_alone(
    folder: Path, reader: FileJournalReader, bad: dict[str, str]
) -> None:
    async def work(journal: FileJournal) -> None:
        good = intent(1)
        with pytest.raises(GatewayError) as caught:
            await journal.write_ahead(replace(good, exchange=replace(good.exchange, **bad)))
        assert caught.value.kind is ErrorKind.INTERNAL
        journal.note(replace(settlement(1), exchange=replace(settlement(1).exchange, **bad)))
        await journal.write_ahead(good)

    journal = run(folder, work)
    assert everything(reader) == ([intent(1)], [])
    assert journal.dropped == 1


def test_segments_follow_one_another_when_they_are_full(folder: Path, reader: FileJournalReader) -> None:
    async def work(journal: FileJournal) -> None:
        for number in range(20):
            await journal.write_ahead(intent(number))

    run(folder, work, segment_bytes=1000)
    segments = reader.segments()
    assert len(segments) > 3
    assert [segment.is_last for segment in segments] == [False] * (len(segments) - 1) + [True]
    assert max(segment.size_bytes for segment in segments) < 1500
    assert everything(reader) == ([intent(number) for number in range(20)], [])


def test_full_disk_refuses_intents_and_keeps_notes_for_later(folder: Path, reader: FileJournalReader) -> None:
    disk = Disk(room_bytes=0)

    async def work(journal: FileJournal) -> None:
        journal.note(settlement(1))
        error = await refused(journal, 2)
        assert (error.kind, error.status, bool(error.hint)) == (ErrorKind.OVERLOADED, 503, True)
        assert os.strerror(errno.ENOSPC) in error.message
        journal.note(settlement(3))
        await refused(journal, 4)
        disk.room_bytes = None
        await until(lambda: journal.entries == 2)
        await journal.write_ahead(intent(5))

    journal = run(folder, work, write=disk)
    assert everything(reader) == ([settlement(1), settlement(3), intent(5)], [])
    assert (journal.refused, journal.dropped) == (2, 0)
    assert journal.failures >= 1


@pytest.mark.parametrize("room_bytes", range(1, 1400, 137))
def test_torn_write_keeps_what_is_whole_and_leaves_the_rest_readable(
    folder: Path, reader: FileJournalReader, room_bytes: int
) -> None:
    disk = Disk()
    taken: list[int] = []

    async def one(journal: FileJournal, number: int) -> None:
        try:
            await journal.write_ahead(intent(number))
        except GatewayError:
            return
        taken.append(number)

    async def work(journal: FileJournal) -> None:
        await one(journal, 0)
        disk.room_bytes = room_bytes
        journal.note(settlement(0))
        await asyncio.gather(*(one(journal, number) for number in (1, 2, 3)))
        disk.room_bytes = None
        await asyncio.sleep(0.6)
        await one(journal, 9)

    run(folder, work, write=disk)
    entries, faults = everything(reader)
    assert faults == []
    assert taken[0] == 0
    assert taken[-1] == 9
    promised = [intent(number) for number in taken]
    assert [entry for entry in entries if entry != settlement(0)] == promised
    assert entries.count(settlement(0)) == 1


def test_kept_notes_are_bounded_and_the_oldest_stay(folder: Path, reader: FileJournalReader) -> None:
    disk = Disk(room_bytes=0)

    async def work(journal: FileJournal) -> None:
        for number in range(10):
            journal.note(settlement(number))
        await turn()
        journal.note(settlement(10))
        disk.room_bytes = None

    journal = run(folder, work, write=disk, max_kept_notes=4)
    assert everything(reader)[0] == [settlement(number) for number in range(4)]
    assert journal.dropped == 7


def test_notes_that_can_never_be_written_are_counted_when_the_journal_closes(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        journal.note(settlement(1))
        journal.note(settlement(2))

    journal = run(folder, work, write=Disk(room_bytes=0))
    assert (journal.entries, journal.dropped) == (0, 2)


def test_full_folder_refuses_intents_takes_notes_and_opens_again_when_segments_go(
    folder: Path, reader: FileJournalReader
) -> None:
    async def work(journal: FileJournal) -> None:
        number = 0
        while journal.written_bytes < 32_768:
            await journal.write_ahead(intent(number))
            number += 1
        assert (await refused(journal)).kind is ErrorKind.OVERLOADED
        journal.note(settlement(0))
        await turn()
        assert journal.entries == number + 1, "notes have room of their own"
        for segment in reader.segments():
            if not segment.may_grow:
                reader.remove(segment)
        await asyncio.sleep(0.6)
        await journal.write_ahead(intent(number))

    journal = run(folder, work, max_bytes=32_768)
    assert journal.refused == 1
    assert journal.written_bytes < 40_000


def test_room_for_notes_is_bounded_too_until_the_journal_closes(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        for number in range(200):
            journal.note(settlement(number))
            await asyncio.sleep(0)
        assert 32_768 < journal.written_bytes < 36_000

    journal = run(folder, work, max_bytes=32_768)
    assert (journal.entries, journal.dropped) == (200, 0), "the last chance is not missed for a bound"


def test_size_of_the_folder_is_looked_at_while_writing(folder: Path, reader: FileJournalReader) -> None:
    """Removing goes unseen only for so long: a writer that is never refused does not count what is long gone."""

    async def work(journal: FileJournal) -> None:
        for number in range(60):
            entry = settlement(number)
            journal.note(replace(entry, exchange=replace(entry.exchange, door="x" * 100_000)))
            await turn()
            for segment in reader.segments():
                if not segment.may_grow:
                    reader.remove(segment)

    journal = run(folder, work, max_bytes=3_000_000)
    assert (journal.entries, journal.failures) == (60, 0)


def test_power_durability_syncs_before_anybody_goes_on_and_in_groups(
    folder: Path, reader: FileJournalReader
) -> None:
    async def work(journal: FileJournal) -> None:
        async def one(number: int) -> None:
            await journal.write_ahead(intent(number))
            await journal.write_ahead(intent(number + 100))

        await asyncio.gather(*(one(number) for number in range(30)))

    run(folder, work, durability="power", segment_bytes=1000)
    entries, faults = everything(reader)
    assert faults == []
    assert len(entries) == 60


def test_power_durability_closes_with_an_answer_to_who_waits(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        first = asyncio.ensure_future(journal.write_ahead(intent(1)))
        await turn()
        second = asyncio.ensure_future(journal.write_ahead(intent(2)))
        await asyncio.sleep(0)
        journal.close()
        await asyncio.gather(first, second)
        await asyncio.sleep(0.05)

    assert run(folder, work, durability="power").entries == 2


def test_failed_sync_refuses_its_group_and_goes_on_in_another_segment(
    folder: Path, reader: FileJournalReader
) -> None:
    """A folder that is gone cannot be synced; nothing else about it matters here."""

    async def work(journal: FileJournal) -> None:
        await journal.write_ahead(intent(1))
        moved = folder.rename(folder.with_name("moved"))
        assert (await refused(journal, 2)).kind is ErrorKind.OVERLOADED
        moved.rename(folder)
        await journal.write_ahead(intent(3))

    journal = run(folder, work, durability="power")
    assert journal.failures == 1
    assert [segment.name[-14:] for segment in reader.segments()] == ["000001.journal", "000002.journal"]


def test_writers_name_cannot_be_used_twice_nor_be_a_path(folder: Path) -> None:
    async def work(_: FileJournal) -> None:
        with pytest.raises(FileExistsError):
            FileJournal(folder, "w1")
        with pytest.raises(ValueError, match="letters"):
            FileJournal(folder, "../w2")

    run(folder, work)


def test_journal_is_for_its_owners_eyes_only(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        await journal.write_ahead(intent(1))

    run(folder, work)
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}


def test_segment_that_cannot_be_begun_refuses_intents_and_is_tried_again(
    folder: Path, reader: FileJournalReader
) -> None:
    async def work(journal: FileJournal) -> None:
        moved = folder.rename(folder.with_name("moved"))
        journal.note(settlement(1))
        assert os.strerror(errno.ENOENT) in (await refused(journal)).message
        moved.rename(folder)
        await until(lambda: journal.entries == 1)
        await journal.write_ahead(intent(2))

    run(folder, work)
    assert everything(reader) == ([settlement(1), intent(2)], [])


def test_write_that_takes_nothing_counts_as_a_full_disk(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        assert os.strerror(errno.ENOSPC) in (await refused(journal)).message

    run(folder, work, write=lambda fd, block: 0)


def test_who_waits_is_told_when_the_last_sync_fails(folder: Path) -> None:
    async def work(journal: FileJournal) -> None:
        await journal.write_ahead(intent(1))
        waiting = asyncio.ensure_future(journal.write_ahead(intent(2)))
        await asyncio.sleep(0)
        moved = folder.rename(folder.with_name("moved"))
        journal.close()
        moved.rename(folder)
        with pytest.raises(GatewayError) as caught:
            await waiting
        assert caught.value.kind is ErrorKind.OVERLOADED

    run(folder, work, durability="power")
