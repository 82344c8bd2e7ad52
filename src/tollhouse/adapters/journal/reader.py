"""Reads every writer's segments. Damage is reported and passed over, never raised and never silent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.adapters.journal.framing import (
    FRAME_HEAD_BYTES,
    HEADER,
    MAX_PAYLOAD_BYTES,
    Ending,
    Split,
    parse_segment_name,
    segment_name,
    split,
)
from tollhouse.adapters.journal.locks import LOCK_SUFFIX, taken
from tollhouse.core.exchange import JournalEntry
from tollhouse.ports.journal import JournalFault, Segment, SegmentRead

_CHUNK_BYTES: Final = 2 * (MAX_PAYLOAD_BYTES + FRAME_HEAD_BYTES)
_CLAIM: Final = "folding.claim"
_ASIDE_SUFFIX: Final = ".unread"
_MAX_ASIDE: Final = 16


class FileJournalReader:
    """Implements `ports.journal.JournalReader` over the folder the writers share. Raises OSError where the folder
    itself cannot be read; a folder that is not there yet is an empty journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decode = msgspec.msgpack.Decoder(JournalEntry).decode

    def claim(self) -> AbstractContextManager[bool]:
        """See `ports.journal.JournalReader`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return taken(self._folder / _CLAIM, creates=True)

    def segments(self) -> Sequence[Segment]:
        """See `ports.journal.JournalReader`."""
        # Whether a writer lives is asked before its segments are counted: one found dead can add nothing any more. A
        # writer first seen in the second listing has just begun, so it lives.
        alive = {writer: self._is_live(writer) for writer in {writer for writer, _ in self._names()}}
        names = sorted(self._names())
        last = dict(names)
        found = []
        for writer, sequence in names:
            path = self._folder / segment_name(writer, sequence)
            with suppress(FileNotFoundError):  # removed by another reader
                found.append(
                    Segment(
                        name=path.name,
                        writer=writer,
                        size_bytes=path.stat().st_size,
                        is_live=alive.get(writer, True),
                        is_last=last[writer] == sequence,
                    )
                )
        return found

    def read(self, segment: Segment, offset: int, *, max_entries: int) -> SegmentRead:
        """See `ports.journal.JournalReader`."""
        try:
            with (self._folder / segment.name).open("rb") as file:
                if offset == 0:
                    header = file.read(len(HEADER))
                    if header != HEADER:
                        return _without_header(segment, header)
                    offset = len(HEADER)
                file.seek(offset)
                chunk = file.read(_CHUNK_BYTES)
                size_bytes = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return SegmentRead(entries=(), next_offset=offset, is_end=True)
        found = split(chunk, max_payloads=max_entries)
        entries, faults = self._decoded(segment, offset, found)
        next_offset = offset + found.used_bytes
        ending = _fault_at(
            segment, next_offset, size_bytes, found.ending, is_all=offset + len(chunk) >= size_bytes
        )
        is_end = ending is not None or (found.ending is Ending.CLEAN and next_offset >= size_bytes)
        return SegmentRead(
            entries=tuple(entries),
            next_offset=next_offset,
            is_end=is_end and not segment.may_grow,
            faults=(*faults, *([] if ending is None else [ending])),
        )

    def remove(self, segment: Segment) -> None:
        """See `ports.journal.JournalReader`."""
        (self._folder / segment.name).unlink(missing_ok=True)

    def set_aside(self, segment: Segment) -> None:
        """See `ports.journal.JournalReader`. The newest 16 are kept, as `<name>.unread`."""
        path = self._folder / segment.name
        with suppress(FileNotFoundError):
            path.rename(path.with_name(path.name + _ASIDE_SUFFIX))
        aside = sorted(self._folder.glob(f"*{_ASIDE_SUFFIX}"))
        for old in aside[:-_MAX_ASIDE]:
            old.unlink(missing_ok=True)

    def tidy(self) -> None:
        """See `ports.journal.JournalReader`."""
        for path in self._folder.glob(f"*{LOCK_SUFFIX}"):
            writer = path.name.removesuffix(LOCK_SUFFIX)
            with taken(path, creates=False) as is_dead:
                if is_dead and all(name != writer for name, _ in self._names()):
                    path.unlink(missing_ok=True)

    def _names(self) -> Iterator[tuple[str, int]]:
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                parsed = parse_segment_name(path.name)
                if parsed is not None and segment_name(*parsed) == path.name:
                    yield parsed

    def _is_live(self, writer: str) -> bool:
        with taken(self._folder / (writer + LOCK_SUFFIX), creates=False) as is_dead:
            return not is_dead

    def _decoded(
        self, segment: Segment, offset: int, found: Split
    ) -> tuple[list[JournalEntry], list[JournalFault]]:
        """The entries, and one fault for all those whose bytes are sound and whose meaning is not known here."""
        entries: list[JournalEntry] = []
        strange: list[tuple[int, int]] = []
        why = ""
        for at, payload in found.payloads:
            try:
                entries.append(self._decode(payload))
            except msgspec.MsgspecError as fault:
                strange.append((at, len(payload)))
                why = why or str(fault)
        if not strange:
            return entries, []
        reason = f"{len(strange)} entries are of a kind or shape this version does not know: {why}"
        lost_bytes = sum(size + FRAME_HEAD_BYTES for _, size in strange)
        first = offset + strange[0][0]
        return entries, [
            JournalFault(segment=segment.name, offset_bytes=first, lost_bytes=lost_bytes, reason=reason)
        ]


def _fault_at(
    segment: Segment, offset: int, size_bytes: int, ending: Ending, *, is_all: bool
) -> JournalFault | None:
    """What is wrong with the bytes at `offset`, or None where they are only not all there yet."""
    lost_bytes = size_bytes - offset
    if ending is Ending.DAMAGED:
        reason = "an entry is damaged, so what follows it in the segment cannot be read"
        return JournalFault(segment=segment.name, offset_bytes=offset, lost_bytes=lost_bytes, reason=reason)
    if ending is Ending.CUT and is_all and not segment.may_grow:
        reason = "the last write was interrupted"
        return JournalFault(
            segment=segment.name, offset_bytes=offset, lost_bytes=lost_bytes, reason=reason, is_torn=True
        )
    return None


def _without_header(segment: Segment, header: bytes) -> SegmentRead:
    """A segment that does not begin as this version writes it."""
    nothing = SegmentRead(entries=(), next_offset=0, is_end=not segment.may_grow)
    if HEADER.startswith(header):
        if segment.may_grow or not header:
            return nothing
        reason, is_torn = "the first write was interrupted", True
    elif HEADER[:-1] == header[:-1]:
        reason, is_torn = f"it is written in format {header[-1]}, which this version cannot read", False
    else:
        reason, is_torn = "it is not a journal segment", False
    fault = JournalFault(
        segment=segment.name, offset_bytes=0, lost_bytes=segment.size_bytes, reason=reason, is_torn=is_torn
    )
    return msgspec.structs.replace(nothing, faults=(fault,))
