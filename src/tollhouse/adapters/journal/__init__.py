"""The journal in files: framed segments in a folder, one writer per process, one reader at a time."""

from __future__ import annotations

from tollhouse.adapters.journal.reader import FileJournalReader
from tollhouse.adapters.journal.writer import FileJournal

__all__ = ["FileJournal", "FileJournalReader"]
