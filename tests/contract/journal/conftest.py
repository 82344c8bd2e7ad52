"""A journal's folder, and turns of a real event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollhouse.adapters.journal import FileJournalReader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def reader(folder: Path) -> FileJournalReader:
    return FileJournalReader(folder)
