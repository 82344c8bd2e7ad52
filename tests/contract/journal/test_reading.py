"""What a journal promises to the one who reads: every whole entry, and a word about every other."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import uvloop

from contract.journal.reading import everything
from contract.store.samples import intent, settlement
from tollhouse.adapters.journal import FileJournal, FileJournalReader
from tollhouse.adapters.journal.framing import HEADER, frame
from tollhouse.core.exchange import JournalEntry
from tollhouse.ports.journal import Segment


def framed(*entries: JournalEntry) -> bytes:
    return b"".join(frame(msgspec.msgpack.encode(entry)) for entry in entries)


def segment_of(folder: Path, content: bytes, name: str = "w1-000001.journal") -> Path:
    """A segment of a writer that is dead."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def growing(segment: Segment) -> Segment:
    return msgspec.structs.replace(segment, is_live=True)


def test_journal_without_a_folder_is_empty(reader: FileJournalReader) -> None:
    assert list(reader.segments()) == []


def test_segments_come_by_writer_and_then_in_order(folder: Path, reader: FileJournalReader) -> None:
    names = [
        "a-000002.journal",
        "b-000001.journal",
        "a-000010.journal",
        "a-1000000.journal",
        "a-b-000001.journal",
    ]
    for name in names:
        segment_of(folder, HEADER, name)
    for stranger in (
        "a.lock",
        "a-1.journal",
        "a-0000001.journal",
        "-000001.journal",
        "a-000001.journal.unread",
    ):
        (folder / stranger).touch()
    assert [(segment.name, segment.is_last) for segment in reader.segments()] == [
        ("a-000002.journal", False),
        ("a-000010.journal", False),
        ("a-1000000.journal", True),
        ("a-b-000001.journal", True),
        ("b-000001.journal", True),
    ]


def test_writer_is_alive_while_it_holds_the_journal(folder: Path, reader: FileJournalReader) -> None:
    async def main() -> None:
        journal = FileJournal(folder, "w1")
        await journal.write_ahead(intent(1))
        assert [segment.is_live for segment in reader.segments()] == [True]
        journal.close()
        assert [segment.is_live for segment in reader.segments()] == [False]

    uvloop.run(main())


def test_incomplete_end_is_not_there_yet_while_the_writer_lives(
    folder: Path, reader: FileJournalReader
) -> None:
    whole = HEADER + framed(intent(1), settlement(1))
    path = segment_of(folder, b"")
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        read = reader.read(growing(reader.segments()[0]), 0, max_entries=9)
        assert not read.is_end
        assert read.faults == ()
        assert read.next_offset <= size
    assert read.entries == (intent(1), settlement(1))


def test_incomplete_end_of_a_dead_writer_is_reported_with_what_was_lost(
    folder: Path, reader: FileJournalReader
) -> None:
    first = len(HEADER + framed(intent(1)))
    whole = HEADER + framed(intent(1), settlement(1))
    path = segment_of(folder, b"")
    for size in range(first + 1, len(whole)):
        path.write_bytes(whole[:size])
        read = reader.read(reader.segments()[0], 0, max_entries=9)
        assert read.entries == (intent(1),)
        assert read.is_end
        assert [(fault.offset_bytes, fault.lost_bytes, fault.is_torn) for fault in read.faults] == [
            (first, size - first, True)
        ]


@pytest.mark.parametrize("size", range(1, 8))
def test_incomplete_header_of_a_dead_writer_is_reported(
    folder: Path, reader: FileJournalReader, size: int
) -> None:
    segment_of(folder, HEADER[:size])
    read = reader.read(reader.segments()[0], 0, max_entries=9)
    assert read.is_end
    assert [(fault.lost_bytes, fault.is_torn) for fault in read.faults] == [(size, True)]


@pytest.mark.parametrize("content", [b"", HEADER], ids=["nothing", "header"])
def test_segment_without_entries_of_a_dead_writer_just_ends(
    folder: Path, reader: FileJournalReader, content: bytes
) -> None:
    segment_of(folder, content)
    read = reader.read(reader.segments()[0], 0, max_entries=9)
    assert (read.is_end, read.entries, read.faults) == (True, (), ())


@pytest.mark.parametrize("where", [0, 3, 4, 7, 8, 60], ids=lambda at: f"byte {at}")
def test_damage_ends_the_segment_is_reported_and_leaves_the_next_one_readable(
    folder: Path, reader: FileJournalReader, where: int
) -> None:
    first, second = HEADER + framed(intent(1)), framed(intent(2))
    hurt = bytearray(first + second + framed(intent(3)) + bytes(200_000))
    hurt[len(first) + where] ^= 0x55
    segment_of(folder, bytes(hurt))
    segment_of(folder, HEADER + framed(intent(4)), "w1-000002.journal")
    entries, faults = everything(reader)
    assert entries == [intent(1), intent(4)]
    assert [(fault.offset_bytes, fault.lost_bytes) for fault in faults] == [
        (len(first), len(hurt) - len(first))
    ]


def test_damage_is_held_before_and_reported_while_the_writer_lives(
    folder: Path, reader: FileJournalReader
) -> None:
    first = HEADER + framed(intent(1))
    segment_of(folder, first + bytes(64))
    read = reader.read(growing(reader.segments()[0]), 0, max_entries=9)
    assert (read.entries, read.next_offset, read.is_end) == ((intent(1),), len(first), False)
    assert len(read.faults) == 1


def test_run_of_zeros_after_a_power_cut_is_no_entry(folder: Path, reader: FileJournalReader) -> None:
    segment_of(folder, HEADER + framed(intent(1)) + bytes(4096))
    entries, faults = everything(reader)
    assert entries == [intent(1)]
    assert [fault.lost_bytes for fault in faults] == [4096]


def test_entries_of_an_unknown_kind_are_passed_over_and_reported(
    folder: Path, reader: FileJournalReader
) -> None:
    strange = frame(msgspec.msgpack.encode({"type": "verdict", "why": 1}))
    broken = frame(b"\xc1")
    before = HEADER + framed(intent(1))
    segment_of(folder, before + strange + broken + framed(settlement(1)))
    entries, faults = everything(reader)
    assert entries == [intent(1), settlement(1)]
    assert [(fault.offset_bytes, fault.lost_bytes, fault.is_torn) for fault in faults] == [
        (len(before), len(strange) + len(broken), False)
    ]
    assert "2 entries" in faults[0].reason


def test_fields_that_are_not_known_yet_do_no_harm(folder: Path, reader: FileJournalReader) -> None:
    later = msgspec.msgpack.decode(msgspec.msgpack.encode(settlement(1)))
    later["exchange"]["mood"] = "good"
    segment_of(folder, HEADER + frame(msgspec.msgpack.encode(later)))
    assert everything(reader) == ([settlement(1)], [])


@pytest.mark.parametrize(
    ("header", "word"),
    [(HEADER[:-1] + b"\x07", "format 7"), (b"#!/bin/sh", "not a journal")],
    ids=["version", "other"],
)
def test_segment_of_another_format_is_reported_whole(
    folder: Path, reader: FileJournalReader, header: bytes, word: str
) -> None:
    segment_of(folder, header + framed(intent(1)))
    entries, faults = everything(reader)
    assert entries == []
    assert [word in fault.reason for fault in faults] == [True]
    assert faults[0].lost_bytes == reader.segments()[0].size_bytes


def test_reads_are_bounded_and_go_on_where_they_stopped(folder: Path, reader: FileJournalReader) -> None:
    large = [
        msgspec.structs.replace(entry, exchange=msgspec.structs.replace(entry.exchange, door="x" * 900_000))
        for entry in map(settlement, range(6))
    ]
    segment_of(folder, HEADER + framed(*large))
    assert everything(reader) == (large, [])
    assert everything(reader, max_entries=1) == (large, [])


def test_segment_that_is_gone_reads_as_ended(folder: Path, reader: FileJournalReader) -> None:
    segment_of(folder, HEADER + framed(intent(1)))
    (segment,) = reader.segments()
    reader.remove(segment)
    reader.remove(segment)
    assert reader.read(segment, 8, max_entries=9).is_end
    assert list(reader.segments()) == []


def test_segment_that_was_set_aside_is_listed_no_more_and_few_are_kept(
    folder: Path, reader: FileJournalReader
) -> None:
    for number in range(1, 21):
        segment_of(folder, HEADER, f"w1-{number:06d}.journal")
    listed = reader.segments()
    for segment in listed:
        reader.set_aside(segment)
    reader.set_aside(listed[0])
    assert list(reader.segments()) == []
    assert sorted(path.name for path in folder.iterdir()) == [
        f"w1-{number:06d}.journal.unread" for number in range(5, 21)
    ]


def test_only_one_folds_at_a_time(folder: Path, reader: FileJournalReader) -> None:
    other = FileJournalReader(folder)
    with reader.claim() as is_ours:
        assert is_ours
        with other.claim() as is_theirs:
            assert not is_theirs
    with other.claim() as is_theirs:
        assert is_theirs


def test_claim_is_given_back_by_kill_9(folder: Path, reader: FileJournalReader) -> None:
    code = (
        "import sys, time, pathlib; from tollhouse.adapters.journal import FileJournalReader\n"
        "with FileJournalReader(pathlib.Path(sys.argv[1])).claim() as ours: print(ours, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        with reader.claim() as is_ours:
            assert not is_ours
        child.kill()
        child.wait(30)
    with reader.claim() as is_ours:
        assert is_ours


def test_locks_of_dead_writers_are_tidied_away_when_their_segments_are_gone(
    folder: Path, reader: FileJournalReader
) -> None:
    async def main() -> None:
        living = FileJournal(folder, "living")
        folded, unfolded = FileJournal(folder, "folded"), FileJournal(folder, "unfolded")
        await unfolded.write_ahead(intent(1))
        folded.close()
        unfolded.close()
        reader.tidy()
        assert sorted(path.name for path in folder.glob("*.lock")) == ["living.lock", "unfolded.lock"]
        living.close()

    asyncio.run(main())
