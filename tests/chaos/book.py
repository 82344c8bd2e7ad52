"""The book, counted in the database itself: what `requests` prints is too much where there are many rows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass

from house import House

_COUNTS = """
SELECT (SELECT count(*) FROM exchanges), (SELECT count(*) FROM exchanges WHERE outcome = 'open'),
       (SELECT count(*) FROM attempts), (SELECT count(*) FROM attempts WHERE status IS NOT NULL)
"""


@dataclass(frozen=True)
class BookCount:
    rows: int
    open_rows: int
    attempts: int
    answered: int
    """Attempts to which a status came."""


def count_book(house: House) -> BookCount:
    """What is in it now, the journal included."""
    house.run("requests", "--limit", "1", "--json")  # takes in what only the journal has
    store = json.loads(house.config.read_text()).get("store", "sqlite:///tollhouse.db")
    path = house.folder / store.removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as book:
        return BookCount(*book.execute(_COUNTS).fetchone())
