"""The administration of a house: over its store, with keys that lie nowhere but in its master key's keeping."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from tollhouse.administration import Administration, Answer, Errand, Rest, Tools, no_sign_on
from tollhouse.config.allowances import budget_of, limits_of
from tollhouse.config.snapshot import from_wire
from tollhouse.config.tree import Config
from tollhouse.core.authority import Action
from tollhouse.core.master_key import derive, weakness_of
from tollhouse.core.people import Team
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import key_digest

from .identity import IdTokens
from .operator import local_operator
from .reading import CannotServe, Environment

if TYPE_CHECKING:
    from tollhouse.core.sign_on import Login
    from tollhouse.ports.administration import AdministrationStore, HouseRules
    from tollhouse.ports.store import Store
    from tollhouse.runtime.edition import Edition
    from tollhouse.runtime.errands import Portion

_ADMIN_KEYS: Final = "admin keys"
_REPEATS: Final = "repeated requests"
_AUDIT: Final = "audit log"


def administration_of(
    store: AdministrationStore,
    pepper: Secret,
    teams: Callable[[], Mapping[str, Team]],
    sign_on: Callable[[str, str], Login] = no_sign_on,
) -> Administration:
    """What does the errands of one house. `teams` are those its configuration declares, `sign_on` says who comes by an
    identity provider's word.

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
        sign_on=sign_on,
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

    def __init__(self, pepper: Callable[[], Secret], id_tokens: IdTokens) -> None:
        """`pepper` is the house's, as it is when the store has been opened."""
        self._pepper = pepper
        self._id_tokens = id_tokens
        self._config = b""
        """What `_teams` were read from."""
        self._teams: Mapping[str, Team] = {}

    def __call__(self, store: Store, edition: Edition, document: bytes) -> bytes | Portion:
        """See `runtime.keeper.Orders.administrate`."""
        if edition.config != self._config:
            config = from_wire(edition.config)
            self._config, self._teams = edition.config, declared_teams(config)
            self._id_tokens.trust(config.identity.oidc)
        errand = msgspec.json.decode(document, type=Errand)
        return _portion(self._administration(store).begin(errand))

    def note_reload(self, store: Store, uid: int | None) -> None:
        """See `runtime.keeper.Orders.note_reload`."""
        asker = local_operator(uid) if uid is not None else "SIGHUP"
        with self._administration(store).by_hand(Action.CONFIG_RELOAD, asker) as case:
            case.record("config", None, None)

    def _administration(self, store: Store) -> Administration:
        # The one store there is keeps both.
        people = cast("AdministrationStore", store)
        return administration_of(people, self._pepper(), lambda: self._teams, self._id_tokens)


def _portion(told: Answer | Rest) -> bytes | Portion:
    if isinstance(told, Answer):
        return msgspec.json.encode(told)
    return lambda _: _portion(told())


def rules_since(store: Store, version: int) -> HouseRules | None:
    """See `runtime.keeper.Orders.rules_since`."""
    return cast("AdministrationStore", store).house_rules(version)


def declared_teams(config: Config) -> dict[str, Team]:
    """The teams of a configuration, as the administration knows teams."""
    return {
        name: Team(id=name, routes=team.routes, limits=limits_of(team.limits), budget=budget_of(team.budget))
        for name, team in config.teams.items()
    }
