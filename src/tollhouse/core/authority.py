"""Who may administer what: roles, what each of them may do, and to whose things.

One table, `RULES`, says it for every action there is; an action that does not stand in it can be done by nobody, and a
path of the admin API without an action cannot be served. Everything here is a pure function of that table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Role(StrEnum):
    """What somebody is in the house."""

    OWNER = "owner"
    """May do everything, and alone makes owners."""
    ADMIN = "admin"
    """May do everything but touch owners."""
    AUDITOR = "auditor"
    """Reads everything and changes nothing."""
    TEAM_ADMIN = "team_admin"
    """Looks after the keys, projects and members of one team."""
    MEMBER = "member"
    """Makes keys for itself in one team, within what that team and it itself may use."""


TEAM_ROLES: Final = frozenset([Role.TEAM_ADMIN, Role.MEMBER])
"""These are held in a team, the others in the whole house."""


class Reach(StrEnum):
    """Whose things an action may be done to."""

    HOUSE = "house"
    TEAM = "team"
    """Those of the team that the role is held in, and one's own."""
    OWN = "own"


class Action(StrEnum):
    """Everything that can be done through the admin API."""

    KEYS_LIST = "keys.list"
    KEYS_CREATE = "keys.create"
    KEYS_GET = "keys.get"
    KEYS_CHANGE = "keys.change"
    KEYS_ROTATE = "keys.rotate"
    KEYS_DISABLE = "keys.disable"
    KEYS_ENABLE = "keys.enable"
    KEYS_REVOKE = "keys.revoke"
    TEAMS_LIST = "teams.list"
    TEAMS_CREATE = "teams.create"
    TEAMS_GET = "teams.get"
    TEAMS_CHANGE = "teams.change"
    TEAMS_DELETE = "teams.delete"
    PROJECTS_LIST = "projects.list"
    PROJECTS_CREATE = "projects.create"
    PROJECTS_GET = "projects.get"
    PROJECTS_CHANGE = "projects.change"
    USERS_LIST = "users.list"
    USERS_CREATE = "users.create"
    USERS_GET = "users.get"
    USERS_CHANGE = "users.change"
    USERS_DISABLE = "users.disable"
    USERS_ENABLE = "users.enable"
    SERVICE_ACCOUNTS_LIST = "service_accounts.list"
    SERVICE_ACCOUNTS_CREATE = "service_accounts.create"
    SERVICE_ACCOUNTS_GET = "service_accounts.get"
    SERVICE_ACCOUNTS_CHANGE = "service_accounts.change"
    SERVICE_ACCOUNTS_DISABLE = "service_accounts.disable"
    SERVICE_ACCOUNTS_ENABLE = "service_accounts.enable"
    ADMIN_KEYS_LIST = "admin_keys.list"
    ADMIN_KEYS_CREATE = "admin_keys.create"
    ADMIN_KEYS_GET = "admin_keys.get"
    ADMIN_KEYS_REVOKE = "admin_keys.revoke"
    ROLE_ASSIGNMENTS_LIST = "role_assignments.list"
    ROLE_ASSIGNMENTS_CREATE = "role_assignments.create"
    ROLE_ASSIGNMENTS_GET = "role_assignments.get"
    ROLE_ASSIGNMENTS_DELETE = "role_assignments.delete"
    ORGANISATIONS_LIST = "organisations.list"
    ORGANISATIONS_GET = "organisations.get"
    ORGANISATIONS_CHANGE = "organisations.change"
    PAUSES_LIST = "pauses.list"
    PAUSES_CREATE = "pauses.create"
    PAUSES_GET = "pauses.get"
    PAUSES_RESUME = "pauses.resume"
    AUDIT_LIST = "audit.list"
    AUDIT_VERIFY = "audit.verify"
    REQUESTS_LIST = "requests.list"
    REQUESTS_GET = "requests.get"
    USAGE_GET = "usage.get"
    DEPLOYMENTS_LIST = "deployments.list"
    CONFIG_GET = "config.get"
    CONFIG_RELOAD = "config.reload"
    SESSIONS_CREATE = "sessions.create"
    SESSIONS_END = "sessions.end"
    ME_GET = "me.get"
    OPENAPI_GET = "openapi.get"


ANY_FIELD: Final = frozenset(["*"])
_NO_FIELD: Final[frozenset[str]] = frozenset()


class Rule(msgspec.Struct, frozen=True):
    """Who may do an action, to whose things, and which fields of them each may write."""

    reach: Mapping[Role, Reach]
    fields: Mapping[Role, frozenset[str]] = {}
    """Of those in `reach` who write; the others write none."""


class Grant(msgspec.Struct, frozen=True):
    """A role that somebody holds; `team` is where, and None for roles of the whole house."""

    role: Role
    team: str | None = None


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts."""

    id: str
    """`usr_…` or `svc_…`; `root` for the key the house was started with, `cli` for whoever has its files."""
    name: str
    grants: tuple[Grant, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a thing stands: in which teams, and whose it is. One that stands nowhere is the house's."""

    teams: frozenset[str] = frozenset()
    account: str | None = None


_HOUSE: Final = {Role.OWNER: Reach.HOUSE, Role.ADMIN: Reach.HOUSE}
_SEEN: Final = {**_HOUSE, Role.AUDITOR: Reach.HOUSE}
_IN_TEAM: Final = {Role.TEAM_ADMIN: Reach.TEAM, Role.MEMBER: Reach.TEAM}
_LED: Final = {Role.TEAM_ADMIN: Reach.TEAM}
_LED_OR_OWN: Final = {Role.TEAM_ADMIN: Reach.TEAM, Role.MEMBER: Reach.OWN}
_OWN: Final = {Role.TEAM_ADMIN: Reach.OWN, Role.MEMBER: Reach.OWN}
_EVERYBODY: Final = dict.fromkeys(Role, Reach.HOUSE)

_ALL_FIELDS: Final = dict.fromkeys((Role.OWNER, Role.ADMIN), ANY_FIELD)
_KEY_OF_A_MEMBER: Final = frozenset(
    [
        "name", "team", "project", "routes", "limits", "budget", "doors", "networks", "hours", "max_output_tokens",
        "metadata", "expires_at",
    ]
)  # fmt: skip

RULES: Final[Mapping[Action, Rule]] = {
    Action.KEYS_LIST: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.KEYS_CREATE: Rule(
        {**_HOUSE, **_LED_OR_OWN},
        {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD, Role.MEMBER: _KEY_OF_A_MEMBER},
    ),
    Action.KEYS_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    # What bounds a member's key was set by somebody else: it may make another key, but not loosen this one.
    Action.KEYS_CHANGE: Rule(
        {**_HOUSE, **_LED_OR_OWN},
        {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD, Role.MEMBER: frozenset(["name", "metadata"])},
    ),
    Action.KEYS_ROTATE: Rule(
        {**_HOUSE, **_LED_OR_OWN},
        {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD, Role.MEMBER: ANY_FIELD},
    ),
    Action.KEYS_DISABLE: Rule({**_HOUSE, **_LED_OR_OWN}),
    Action.KEYS_ENABLE: Rule({**_HOUSE, **_LED}),
    Action.KEYS_REVOKE: Rule({**_HOUSE, **_LED_OR_OWN}),
    Action.TEAMS_LIST: Rule({**_SEEN, **_IN_TEAM}),
    Action.TEAMS_CREATE: Rule(_HOUSE, _ALL_FIELDS),
    Action.TEAMS_GET: Rule({**_SEEN, **_IN_TEAM}),
    Action.TEAMS_CHANGE: Rule(
        {**_HOUSE, **_LED}, {**_ALL_FIELDS, Role.TEAM_ADMIN: frozenset(["title", "metadata"])}
    ),
    Action.TEAMS_DELETE: Rule(_HOUSE),
    Action.PROJECTS_LIST: Rule({**_SEEN, **_IN_TEAM}),
    Action.PROJECTS_CREATE: Rule({**_HOUSE, **_LED}, {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD}),
    Action.PROJECTS_GET: Rule({**_SEEN, **_IN_TEAM}),
    Action.PROJECTS_CHANGE: Rule({**_HOUSE, **_LED}, {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD}),
    Action.USERS_LIST: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.USERS_CREATE: Rule(_HOUSE, _ALL_FIELDS),
    Action.USERS_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.USERS_CHANGE: Rule(
        {**_HOUSE, **_OWN},
        {**_ALL_FIELDS, Role.TEAM_ADMIN: frozenset(["name"]), Role.MEMBER: frozenset(["name"])},
    ),
    Action.USERS_DISABLE: Rule(_HOUSE),
    Action.USERS_ENABLE: Rule(_HOUSE),
    Action.SERVICE_ACCOUNTS_LIST: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.SERVICE_ACCOUNTS_CREATE: Rule({**_HOUSE, **_LED}, {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD}),
    Action.SERVICE_ACCOUNTS_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.SERVICE_ACCOUNTS_CHANGE: Rule(
        {**_HOUSE, **_LED}, {**_ALL_FIELDS, Role.TEAM_ADMIN: frozenset(["name", "metadata"])}
    ),
    Action.SERVICE_ACCOUNTS_DISABLE: Rule({**_HOUSE, **_LED}),
    Action.SERVICE_ACCOUNTS_ENABLE: Rule(_HOUSE),
    Action.ADMIN_KEYS_LIST: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.ADMIN_KEYS_CREATE: Rule(
        {**_HOUSE, **_LED_OR_OWN},
        {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD, Role.MEMBER: ANY_FIELD},
    ),
    Action.ADMIN_KEYS_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.ADMIN_KEYS_REVOKE: Rule({**_HOUSE, **_LED_OR_OWN}),
    Action.ROLE_ASSIGNMENTS_LIST: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.ROLE_ASSIGNMENTS_CREATE: Rule({**_HOUSE, **_LED}, {**_ALL_FIELDS, Role.TEAM_ADMIN: ANY_FIELD}),
    Action.ROLE_ASSIGNMENTS_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.ROLE_ASSIGNMENTS_DELETE: Rule({**_HOUSE, **_LED}),
    Action.ORGANISATIONS_LIST: Rule(_SEEN),
    Action.ORGANISATIONS_GET: Rule(_SEEN),
    Action.ORGANISATIONS_CHANGE: Rule(
        _HOUSE, {Role.OWNER: ANY_FIELD, Role.ADMIN: frozenset(["title", "metadata"])}
    ),
    Action.PAUSES_LIST: Rule(_SEEN),
    Action.PAUSES_CREATE: Rule(_HOUSE, _ALL_FIELDS),
    Action.PAUSES_GET: Rule(_SEEN),
    Action.PAUSES_RESUME: Rule(_HOUSE),
    Action.AUDIT_LIST: Rule(_SEEN),
    Action.AUDIT_VERIFY: Rule(_SEEN),
    Action.REQUESTS_LIST: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.REQUESTS_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.USAGE_GET: Rule({**_SEEN, **_LED_OR_OWN}),
    Action.DEPLOYMENTS_LIST: Rule(_SEEN),
    Action.CONFIG_GET: Rule(_SEEN),
    Action.CONFIG_RELOAD: Rule(_HOUSE),
    # By the word of an identity provider, and by the session that comes of it: not by any key.
    Action.SESSIONS_CREATE: Rule(_EVERYBODY),
    Action.SESSIONS_END: Rule(_EVERYBODY),
    Action.ME_GET: Rule(_EVERYBODY),
    Action.OPENAPI_GET: Rule(_EVERYBODY),
}
_RANK: Final = {role: rank for rank, role in enumerate(Role)}


def may_ever(actor: Actor, action: Action) -> bool:
    """Whether there can be anything that the actor may do this to."""
    rule = RULES.get(action)
    return rule is not None and any(grant.role in rule.reach for grant in actor.grants)


def grant_for(actor: Actor, action: Action, place: Place) -> Grant | None:
    """The strongest of the actor's roles by which it may do this to a thing that stands there; None where none does."""
    rule = RULES.get(action)
    if rule is None:
        return None
    reaching = [grant for grant in actor.grants if _reaches(actor, grant, rule.reach.get(grant.role), place)]
    return min(reaching, key=lambda grant: _RANK[grant.role], default=None)


def _reaches(actor: Actor, grant: Grant, reach: Reach | None, place: Place) -> bool:
    match reach:
        case None:
            return False
        case Reach.HOUSE:
            return True
        case Reach.TEAM if grant.team is not None and grant.team in place.teams:
            return True
        case _:
            is_own = place.account is not None and place.account == actor.id
            return is_own and (not place.teams or grant.team in place.teams)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Which things of a list somebody may see: all, or those of some teams and one's own."""

    is_all: bool
    teams: frozenset[str] = frozenset()
    account: str | None = None

    def shows(self, place: Place) -> bool:
        """Whether it has what stands there."""
        is_own = self.account is not None and place.account == self.account
        return self.is_all or is_own or not self.teams.isdisjoint(place.teams)


def view_of(actor: Actor, action: Action) -> View:
    """What the actor may do this to, for asking the store for no more than that."""
    rule = RULES[action]
    reaches = [(grant, rule.reach[grant.role]) for grant in actor.grants if grant.role in rule.reach]
    if any(reach is Reach.HOUSE for _, reach in reaches):
        return View(is_all=True)
    teams = frozenset(
        grant.team for grant, reach in reaches if reach is Reach.TEAM and grant.team is not None
    )
    return View(is_all=False, teams=teams, account=actor.id if reaches else None)


def forbidden_fields(grant: Grant, action: Action, fields: Iterable[str]) -> tuple[str, ...]:
    """Those of the fields that this role may not write, in their order."""
    writable = RULES[action].fields.get(grant.role, _NO_FIELD)
    return () if "*" in writable else tuple([field for field in fields if field not in writable])


def may_grant(actor: Actor, granted: Grant) -> bool:
    """Whether the actor holds at least this role, and holds it in a way that can be handed on."""
    for held in actor.grants:
        match held.role:
            case Role.OWNER:
                return True
            case Role.ADMIN if granted.role is not Role.OWNER:
                return True
            case Role.TEAM_ADMIN if granted.role in TEAM_ROLES and granted.team == held.team:
                return True
    return False


def is_above_all(actor: Actor, grants: Iterable[Grant]) -> bool:
    """Whether the actor could have granted every one of these: only then may it act on whoever holds them."""
    return all(may_grant(actor, grant) for grant in grants)
