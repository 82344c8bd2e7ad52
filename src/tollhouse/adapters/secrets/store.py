"""`store:NAME` and `store:TEAM/NAME`: secrets in the house's own encrypted store."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import (
    EnvelopeRefused,
    MasterKeyMissing,
    Sealer,
    SecretShelf,
    SecretSourceDown,
    SecretUnavailable,
)
from tollhouse.ports.store import StoreUnavailable


class StoreSecrets:
    """Opens rows at the moment it is asked. A row that goes back to an older version is refused by whoever has seen the
    newer one: what was replaced, because it had leaked perhaps, does not come back."""

    def __init__(self, shelf: Callable[[], SecretShelf], sealer: Sealer) -> None:
        self._shelf = shelf
        self._sealer = sealer
        self._lock = threading.Lock()
        self._versions: dict[str, int] = {}
        """The newest that was opened, by row."""

    @property
    def scheme(self) -> str:
        return "store"

    def resolve(self, rest: str) -> Secret:
        """The newest version. Raises: SecretUnavailable."""
        team, _, name = rest.rpartition("/")
        flag = f" --team {team}" if team else ""
        try:
            row = self._shelf().stored_secret(team, name)
        except StoreUnavailable as error:
            raise SecretSourceDown(f"The store of secrets cannot be read: {error}") from None
        if row is None:
            raise SecretUnavailable(
                f"The store has no secret {rest}. Put it there: tollhouse secrets set {name}{flag}"
            )
        try:
            secret = self._sealer.open(row.envelope, row.place)
        except MasterKeyMissing as error:
            raise SecretUnavailable(
                f"The secret {rest} is sealed under the master key {error.key_id}, which is not here. Give that key "
                "back, after the current one."
            ) from None
        except EnvelopeRefused as error:
            raise SecretUnavailable(
                f"The secret {rest} in the store is not what the house has written: {error}. Find out who changed the "
                f"database, then set it anew: tollhouse secrets set {name}{flag}"
            ) from None
        with self._lock:
            if row.version < self._versions.get(row.id, 0):
                raise SecretUnavailable(
                    f"The secret {rest} in the store went back to an older version. Find out who changed the database."
                )
            self._versions[row.id] = row.version
        return secret

    def caution(self, rest: str) -> str | None:  # noqa: ARG002 - it lies as well as it can
        return None
