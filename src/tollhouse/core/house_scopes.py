"""What the store says of everybody a key belongs to: the organisation, its team, its project, the account whose it is.

What the configuration declares is not here. Where both know a team, the configuration's word holds and the store's does
not: one team has one budget, and two limits of it would be two truths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from .identity import Principal
from .limits import Scope

ORGANISATION: Final = "organisation:main"
_MOST_REMEMBERED: Final = 100_000
_NO_ROUTES: Final[Mapping[str, tuple[str, ...]]] = {}


class HouseScopes:
    """Their limits, budgets and routes, as a worker looks them up on every call. Outlives reloads.

    What a caller may do and what it is charged to are looked up together and once, when it comes in: no call goes by
    one half of a change.
    """

    __slots__ = ("_bounded", "_by_id", "_project_routes", "_team_routes", "version")

    def __init__(self) -> None:
        self.version = -1
        """Of what was told last; -1 before anything was."""
        self._by_id: Mapping[str, Scope] = {}
        self._team_routes = self._project_routes = _NO_ROUTES
        self._bounded: dict[str, tuple[Principal, bool, tuple[str, ...] | None, Principal]] = {}
        """What `bounded` was asked and has answered, by key."""

    def take(
        self,
        scopes: Iterable[Scope],
        team_routes: Mapping[str, tuple[str, ...]],
        project_routes: Mapping[str, tuple[str, ...]],
        version: int,
    ) -> None:
        """Go by these from now on, in place of those before."""
        before, now = self._by_id, {}
        for scope in scopes:
            known = before.get(scope.id)
            # What stays as it was stays the same object, which is quicker to recognise on every call.
            now[scope.id] = known if known is not None and known == scope else scope
        self._by_id, self._bounded = now, {}
        self._team_routes, self._project_routes = team_routes, project_routes
        self.version = version

    def bounded(
        self, principal: Principal, *, declares_team: bool, declared_routes: tuple[str, ...] | None
    ) -> Principal:
        """The principal with everybody it belongs to, and the routes that they leave it.

        `declares_team` says whether the configuration declares its team, `declared_routes` which routes that has.
        """
        known = self._bounded.get(principal.key_id)
        if (
            known is not None
            and known[0] is principal
            and known[1] is declares_team
            and known[2] is declared_routes
        ):
            return known[3]
        most = self._routes_at_most(principal, declares_team=declares_team, declared_routes=declared_routes)
        scopes = self._of(principal, declares_team=declares_team) if self._by_id else ()
        if not scopes and not most:
            return principal
        found = replace(principal, routes_at_most=most, scopes=scopes)
        if len(self._bounded) >= _MOST_REMEMBERED:
            self._bounded.clear()
        self._bounded[principal.key_id] = (principal, declares_team, declared_routes, found)
        return found

    def _of(self, principal: Principal, *, declares_team: bool) -> tuple[Scope, ...]:
        """The nearest first."""
        by_id = self._by_id
        found: list[Scope | None] = []
        if principal.account is not None:
            found.append(by_id.get(f"account:{principal.account}"))
        if principal.project is not None:
            found.append(by_id.get(f"project:{principal.project}"))
        if principal.team is not None and not declares_team:
            found.append(by_id.get(f"team:{principal.team}"))
        found.append(by_id.get(ORGANISATION))
        return tuple([scope for scope in found if scope is not None])

    def _routes_at_most(
        self, principal: Principal, *, declares_team: bool, declared_routes: tuple[str, ...] | None
    ) -> tuple[tuple[str, ...], ...]:
        of_team = declared_routes
        if principal.team is not None and not declares_team:
            of_team = self._team_routes.get(principal.team)
        of_project = self._project_routes.get(principal.project) if principal.project is not None else None
        if of_team is None and of_project is None:
            return ()
        return tuple([routes for routes in (of_team, of_project) if routes is not None])
