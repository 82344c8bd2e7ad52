"""Reading a whole journal the way a feeder does."""

from __future__ import annotations

from tollhouse.core.exchange import JournalEntry
from tollhouse.ports.journal import JournalFault, JournalReader


def everything(
    reader: JournalReader, *, max_entries: int = 1000
) -> tuple[list[JournalEntry], list[JournalFault]]:
    """Entries and faults of all segments, in order."""
    entries: list[JournalEntry] = []
    faults: list[JournalFault] = []
    for segment in reader.segments():
        offset = 0
        while True:
            read = reader.read(segment, offset, max_entries=max_entries)
            assert len(read.entries) <= max_entries
            entries += read.entries
            faults += read.faults
            if read.is_end or read.next_offset == offset:
                break
            offset = read.next_offset
    return entries, faults
