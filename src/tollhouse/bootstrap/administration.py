"""The administration of a house: over its store, with keys that lie nowhere but in its master key's keeping."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from tollhouse.administration import Administration, Errand, Tools
from tollhouse.config.allowances import budget_of, limits_of
from tollhouse.config.snapshot import from_wire
from tollhouse.config.tree import Config
from tollhouse.core.master_key import derive, weakness_of
from tollhouse.core.people import Team
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import key_digest

from .reading import CannotServe, Environment

if TYPE_CHECKING:
    from tollhouse.ports.administration import AdministrationStore, HouseRules
    from tollhouse.ports.store import Store
    from tollhouse.runtime.edition import Edition

_ADMIN_KEYS: Final = "admin keys"
_REPEATS: Final = "repeated requests"
_AUDIT: Final = "audit log"


def administration_of(
    store: AdministrationStore, pepper: Secret, teams: Callable[[], Mapping[str, Team]]
) -> Administration:
    """What does the errands of one house. `teams` are those its configuration declares.

    Its keys come from the pepper, which outlives every master key: a log that was sealed before a rotation is verified
    after it.
    """
    admin_key = bytes.fromhex(derive(pepper, _ADMIN_KEYS).reveal())

    def admin_key_digests(text: str) -> tuple[str, ...]:
        return (hmac.digest(admin_key, text.encode(), "sha256").hex(),)

    tools = Tools(
        now=time.time,
        entropy=os.urandom,
        key_digest=lambda text: key_digest(pepper, text),
        admin_key_digests=admin_key_digests,
        repeat_key=bytes.fromhex(derive(pepper, _REPEATS).reveal()),
        audit_keys=(bytes.fromhex(derive(pepper, _AUDIT).reveal()),),
        declared_teams=teams,
    )
    return Administration(store, tools)


def check_admin_key(environment: Environment) -> None:
    """Raises: CannotServe where what makes an owner could be guessed."""
    key = environment.admin_key
    if key is not None and (weakness := weakness_of(key.reveal())):
        raise CannotServe(
            f"TOLLHOUSE_ADMIN_KEY is weak: {weakness}.",
            "Make one with `openssl rand -hex 32`, or leave it out.",
        )


class ErrandDesk:
    """What the keeper does with errands that come through the admin API."""

    def __init__(self, pepper: Callable[[], Secret]) -> None:
        """`pepper` is the house's, as it is when the store has been opened."""
        self._pepper = pepper
        self._config = b""
        """What `_teams` were read from."""
        self._teams: Mapping[str, Team] = {}

    def __call__(self, store: Store, edition: Edition, document: bytes) -> bytes:
        """See `runtime.keeper.Orders.administrate`."""
        if edition.config != self._config:
            self._config, self._teams = edition.config, declared_teams(from_wire(edition.config))
        errand = msgspec.json.decode(document, type=Errand)
        # The one store there is keeps both.
        people = cast("AdministrationStore", store)
        administration = administration_of(people, self._pepper(), lambda: self._teams)
        return msgspec.json.encode(administration.run(errand))


def rules_since(store: Store, version: int) -> HouseRules | None:
    """See `runtime.keeper.Orders.rules_since`."""
    return cast("AdministrationStore", store).house_rules(version)


def declared_teams(config: Config) -> dict[str, Team]:
    """The teams of a configuration, as the administration knows teams."""
    return {
        name: Team(id=name, routes=team.routes, limits=limits_of(team.limits), budget=budget_of(team.budget))
        for name, team in config.teams.items()
    }
