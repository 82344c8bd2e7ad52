"""The paths under `/admin/v1`: for each method and path the action it is, which says who may do it and how.

A path whose action has no role, or an action without a path, keeps the process from starting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from tollhouse.administration import HANDLERS
from tollhouse.core.authority import RULES, Action

ROOT: Final = "/admin/v1"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", re.ASCII)
"""What an id looks like in a path, where nothing is decoded."""


class Route(msgspec.Struct, frozen=True):
    """One method at one path."""

    method: str
    path: str
    """`{id}` stands for the id of a thing."""
    action: Action
    about: str


def _things(path: str, name: str, plural: str, word: str, *, verbs: Mapping[str, str]) -> list[Route]:
    """The usual four, and what else can be done to one."""
    collection, one = f"{ROOT}/{path}", f"{ROOT}/{path}/{{id}}"
    routes = [
        Route("GET", collection, Action(f"{name}.list"), f"{plural}, in parts"),
        Route("POST", collection, Action(f"{name}.create"), f"a new {word}"),
        Route("GET", one, Action(f"{name}.get"), f"one {word}"),
        Route("PATCH", one, Action(f"{name}.change"), f"other values for some fields of a {word}"),
    ]
    routes = [route for route in routes if route.action in RULES]
    return routes + [
        Route("POST", f"{one}/{verb}", Action(f"{name}.{verb}"), about) for verb, about in verbs.items()
    ]


def _switches(word: str) -> dict[str, str]:
    return {"disable": f"stop a {word} until it is enabled", "enable": f"let a {word} go on"}


ROUTES: Final[tuple[Route, ...]] = (
    *_things(
        "keys",
        "keys",
        "virtual keys",
        "virtual key",
        verbs={
            "rotate": "another text for a key",
            **_switches("key"),
            "revoke": "end a key for good",
        },
    ),
    *_things("teams", "teams", "teams", "team", verbs={}),
    Route("DELETE", f"{ROOT}/teams/{{id}}", Action.TEAMS_DELETE, "end a team that nobody is in any more"),
    *_things("projects", "projects", "projects of teams", "project", verbs={}),
    *_things("users", "users", "people", "user", verbs=_switches("user")),
    *_things(
        "service-accounts",
        "service_accounts",
        "machines",
        "service account",
        verbs=_switches("service account"),
    ),
    Route("GET", f"{ROOT}/admin-keys", Action.ADMIN_KEYS_LIST, "admin keys, in parts"),
    Route("POST", f"{ROOT}/admin-keys", Action.ADMIN_KEYS_CREATE, "a new admin key"),
    Route("GET", f"{ROOT}/admin-keys/{{id}}", Action.ADMIN_KEYS_GET, "one admin key"),
    Route("POST", f"{ROOT}/admin-keys/{{id}}/revoke", Action.ADMIN_KEYS_REVOKE, "end an admin key for good"),
    Route("GET", f"{ROOT}/role-assignments", Action.ROLE_ASSIGNMENTS_LIST, "who holds which role, in parts"),
    Route("POST", f"{ROOT}/role-assignments", Action.ROLE_ASSIGNMENTS_CREATE, "give an account a role"),
    Route("GET", f"{ROOT}/role-assignments/{{id}}", Action.ROLE_ASSIGNMENTS_GET, "one role of an account"),
    Route(
        "DELETE",
        f"{ROOT}/role-assignments/{{id}}",
        Action.ROLE_ASSIGNMENTS_DELETE,
        "take a role from an account",
    ),
    Route("GET", f"{ROOT}/organisations", Action.ORGANISATIONS_LIST, "the organisation"),
    Route("GET", f"{ROOT}/organisations/{{id}}", Action.ORGANISATIONS_GET, "the organisation"),
    Route(
        "PATCH",
        f"{ROOT}/organisations/{{id}}",
        Action.ORGANISATIONS_CHANGE,
        "other values for some fields of the organisation",
    ),
    Route("GET", f"{ROOT}/pauses", Action.PAUSES_LIST, "what is paused, in parts"),
    Route(
        "POST",
        f"{ROOT}/pauses",
        Action.PAUSES_CREATE,
        "pause a provider, deployment, route, key or team",
    ),
    Route("GET", f"{ROOT}/pauses/{{id}}", Action.PAUSES_GET, "one pause"),
    Route("POST", f"{ROOT}/pauses/{{id}}/resume", Action.PAUSES_RESUME, "let it go on"),
    Route("GET", f"{ROOT}/audit", Action.AUDIT_LIST, "the audit log, newest first"),
    Route("GET", f"{ROOT}/audit/verify", Action.AUDIT_VERIFY, "whether the audit log is whole"),
    Route("GET", f"{ROOT}/requests", Action.REQUESTS_LIST, "requests, newest first"),
    Route("GET", f"{ROOT}/requests/{{id}}", Action.REQUESTS_GET, "one request"),
    Route("GET", f"{ROOT}/usage", Action.USAGE_GET, "sums by key, team, route, provider or day"),
    Route(
        "GET",
        f"{ROOT}/deployments",
        Action.DEPLOYMENTS_LIST,
        "how the deployments are: breakers, load, latency",
    ),
    Route(
        "GET",
        f"{ROOT}/config",
        Action.CONFIG_GET,
        "the configuration in force: hash, warnings, what waits for a restart",
    ),
    Route(
        "POST",
        f"{ROOT}/config/reload",
        Action.CONFIG_RELOAD,
        "read the configuration file again and serve by it",
    ),
    Route("POST", f"{ROOT}/session", Action.SESSIONS_CREATE, "come in by the word of an identity provider"),
    Route("DELETE", f"{ROOT}/session", Action.SESSIONS_END, "end the session that is shown"),
    Route("GET", f"{ROOT}/me", Action.ME_GET, "who you are, and what you may do"),
    Route("GET", f"{ROOT}/openapi.json", Action.OPENAPI_GET, "this API, described"),
)


def check_routes(routes: Iterable[Route]) -> None:
    """Raises: RuntimeError where a path's action has no role or nobody who does it, where two routes are one, or where
    an action has no path."""
    routes = tuple(routes)
    for route in routes:
        if route.action not in RULES or not RULES[route.action].reach or route.action not in HANDLERS:
            raise RuntimeError(f"{route.method} {route.path} has no declared role")
    if len({(route.method, route.path) for route in routes}) < len(routes):
        raise RuntimeError("two routes have one method and path")
    if missing := set(RULES) - {route.action for route in routes}:
        raise RuntimeError(f"no path leads to {', '.join(sorted(missing))}")


check_routes(ROUTES)

_EXACT: Final[Mapping[str, tuple[Route, ...]]] = {
    path: tuple(route for route in ROUTES if route.path == path)
    for path in {route.path for route in ROUTES}
    if "{id}" not in path
}
_WITH_ID: Final[Mapping[tuple[str, str], tuple[Route, ...]]] = {
    key: tuple(route for route in ROUTES if "{id}" in route.path and tuple(route.path.split("{id}")) == key)
    for key in {
        (before, after) for before, _, after in (r.path.partition("{id}") for r in ROUTES if "{id}" in r.path)
    }
}


def routes_at(path: str) -> tuple[tuple[Route, ...], str | None]:
    """The routes at a path, one for each method, and the id that stands in it.

    The path is taken letter by letter as it was sent: one that is spelled in any other way leads nowhere.
    """
    if (exact := _EXACT.get(path)) is not None:
        return exact, None
    pieces = path.split("/")
    if len(pieces) not in (5, 6) or _ID.fullmatch(pieces[4]) is None:
        return (), None
    before = "/".join(pieces[:4]) + "/"
    after = "/" + pieces[5] if len(pieces) == 6 else ""
    found = _WITH_ID.get((before, after), ())
    return found, pieces[4] if found else None
