"""What commands do with a house, whether it is running or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from tollhouse.administration import Administration, Answer, Errand
from tollhouse.config.snapshot import Snapshot
from tollhouse.config.tree import Config
from tollhouse.core.reload import ReloadReport
from tollhouse.core.secret import Secret

from .administration import administration_of, declared_teams
from .books import feeder_of, only_keeper, open_books
from .key_book import KeyBook
from .operator import local_operator
from .reading import CannotServe, Environment, Loaded, journal_folder, read_config
from .sealing import sealer_of, settled_pepper

if TYPE_CHECKING:
    from tollhouse.adapters.mock_server import MockServer
    from tollhouse.ports.administration import AdministrationStore
    from tollhouse.ports.store import Store

_PATIENCE_S: Final = 3.0
"""For a house that is about to open its control socket."""
_RELOAD_S: Final = 60.0
_ANSWER_S: Final = 10.0


class OpenHouse:
    """A house's store as commands use it, whether the house is running or not."""

    def __init__(
        self, config: Config, snapshot: Snapshot, store: Store, pepper: Secret, folder: Path
    ) -> None:
        self._config = config
        self.snapshot = snapshot
        self.store = store
        self.pepper = pepper
        self._folder = folder

    @property
    def keys(self) -> KeyBook:
        """Its virtual keys."""
        return KeyBook(
            self.store,
            lambda action: self.administration.by_hand(action, local_operator()),
            self.pepper,
            self.snapshot.declared_keys,
        )

    @property
    def administration(self) -> Administration:
        """What does errands here."""
        teams = declared_teams(self._config)
        return administration_of(cast("AdministrationStore", self.store), self.pepper, lambda: teams)

    def refresh(self) -> bool | None:
        """Have the running house take over the store's keys: True when it has, False if not, None if none runs."""
        from tollhouse.runtime.control import ask  # noqa: PLC0415

        until = time.monotonic() + _PATIENCE_S
        while (answer := ask(self._folder, "refresh")) is None:
            # A house that keeps the journal and cannot be asked has just started, or lost its socket.
            with only_keeper(self._folder) as nobody_is_home:
                if nobody_is_home:
                    return None
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return answer

    def fold(self) -> None:
        """Bring the journal into the store: by the running house, or here when none runs. Raises: StoreUnavailable."""
        from tollhouse.runtime.control import ask  # noqa: PLC0415

        if ask(self._folder, "fold") is None:
            feeder_of(self.store, self._folder).fold()


def reload_house(path: Path, environment: Environment) -> ReloadReport | None:
    """Have the running house of a configuration file read it again; None if none runs.

    Raises: ConfigInvalid where the file is so wrong that the house need not be asked; CannotServe, OSError.
    """
    document = _inquire(read_config(path, environment), "reload", _RELOAD_S)
    return msgspec.json.decode(document, type=ReloadReport) if document is not None else None


def deployments_of_house(path: Path, environment: Environment) -> bytes | None:
    """What the running house of a configuration file knows of its deployments, as JSON; None if none runs.

    Raises: ConfigInvalid, CannotServe, OSError.
    """
    return _inquire(read_config(path, environment), "deployments", _ANSWER_S)


def _inquire(loaded: Loaded, word: str, patience_s: float) -> bytes | None:
    from tollhouse.runtime.control import NotDone, inquire  # noqa: PLC0415

    try:
        return inquire(Path(loaded.snapshot.journal.folder), word, patience_s)
    except FileNotFoundError:
        return None  # there is not even a journal
    except NotDone as error:
        raise CannotServe(str(error), "Its log says why.") from error


@contextmanager
def open_house(path: Path, environment: Environment) -> Iterator[OpenHouse]:
    """The house of a configuration file, for one command.

    Raises: ConfigInvalid, StoreUnavailable, CannotServe.
    """
    loaded = read_config(path, environment)
    folder = journal_folder(loaded)
    store = open_books(loaded)
    try:
        pepper = settled_pepper(store, sealer_of(loaded.folder, environment))
        yield OpenHouse(loaded.config, loaded.snapshot, store, pepper, folder)
    finally:
        store.close()


class CommandDesk:
    """What commands do with errands: on the store itself, whether the house is running or not."""

    def __init__(self, house: OpenHouse) -> None:
        self._house = house
        self._administration = house.administration

    def run(self, errand: Errand) -> Answer:
        """Raises nothing of what can go wrong in it: that is told."""
        return self._administration.run(errand)

    def refresh(self) -> bool | None:
        """See OpenHouse.refresh."""
        return self._house.refresh()

    def fold(self) -> None:
        """See OpenHouse.fold."""
        self._house.fold()


@contextmanager
def open_administration(path: Path, environment: Environment) -> Iterator[CommandDesk]:
    """The administration of a configuration file's house, for one command.

    Raises: ConfigInvalid, StoreUnavailable, CannotServe.
    """
    with open_house(path, environment) as house:
        yield CommandDesk(house)


def mock_server(host: str = "127.0.0.1", port: int = 0, *, require_key: str | None = None) -> MockServer:
    """The scripted provider, to be entered with `async with`."""
    from tollhouse.adapters.mock_server import MockServer  # noqa: PLC0415

    return MockServer(host, port, require_key=require_key)
