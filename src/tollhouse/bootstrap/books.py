"""The store and the journal as keeper and commands use them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .reading import Loaded

if TYPE_CHECKING:
    from tollhouse.ports.store import Store
    from tollhouse.runtime.feeder import Feeder

_LOCK_FILE: Final = "keeper.lock"


@contextmanager
def only_keeper(folder: Path) -> Iterator[bool]:
    """Whether we are the one who keeps this journal, for as long as the block runs."""
    with (folder / _LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def open_books(loaded: Loaded) -> Store:
    """The store, migrated. Raises: StoreUnavailable."""
    from tollhouse.adapters.sql import open_store  # noqa: PLC0415

    store = open_store(loaded.snapshot.store, loaded.folder)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def feeder_of(store: Store, journal_folder: Path) -> Feeder:
    """What brings the journal of a folder into its store."""
    from tollhouse.adapters.journal import FileJournalReader  # noqa: PLC0415
    from tollhouse.runtime.feeder import Feeder  # noqa: PLC0415

    return Feeder(store, FileJournalReader(journal_folder))
