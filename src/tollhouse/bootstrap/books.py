"""The store and the journal as keeper and commands use them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .reading import Environment, Loaded, read_config

if TYPE_CHECKING:
    from tollhouse.adapters.sql import Migration
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
    """The store, migrated where that may be done without asking. Raises: StoreUnavailable."""
    from tollhouse.adapters.sql import open_store  # noqa: PLC0415

    store = open_store(loaded.store.reveal(), loaded.folder)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def migrate_store(path: Path, environment: Environment) -> Migration:
    """Bring the schema of a configuration's store up, whatever it is. Raises: ConfigInvalid, StoreUnavailable."""
    from tollhouse.adapters.sql import open_store  # noqa: PLC0415

    loaded = read_config(path, environment)
    store = open_store(loaded.store.reveal(), loaded.folder)
    try:
        return store.migrate()
    finally:
        store.close()


def feeder_of(store: Store, journal_folder: Path) -> Feeder:
    """What brings the journal of a folder into its store."""
    from tollhouse.adapters.journal import FileJournalReader  # noqa: PLC0415
    from tollhouse.runtime.feeder import Feeder  # noqa: PLC0415

    return Feeder(store, FileJournalReader(journal_folder))
