"""Every implementation of the store, each on its own empty database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tollhouse.adapters.sql import open_store
from tollhouse.ports.store import Store


@pytest.fixture(params=["sqlite:///books.db"], ids=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(request.param, tmp_path)
    try:
        opened.prepare()
        yield opened
    finally:
        opened.close()
