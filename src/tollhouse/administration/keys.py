"""Virtual keys: made, changed, given another text, stopped."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tollhouse.core.authority import Grant, Place
from tollhouse.core.errors import invalid_request
from tollhouse.core.holding import Holding
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import key_hint, virtual_key_text
from tollhouse.core.people import Account, Project, Team

from .case import Case, Done, conflict, converted, etag_of, holding_of, missing, shown
from .fields import KeyChange, KeyCreate, KeyQuery, KeyRotate, given
from .views import key_made, key_view


def list_keys(case: Case, query: KeyQuery) -> Done:
    """Those that may be seen, by id."""
    filters = {name: value for name, value in given(query).items() if name not in ("limit", "after")}
    found = case.register.keys(case.view(), limit=query.limit + 1, after=query.after or None, filters=filters)
    return case.page(found, query.limit, lambda key: key_view(key, case.now), lambda key: key.id)


def get_key(case: Case) -> Done:
    """One of them."""
    return shown(key_view(_found(case)[0], case.now))


def create_key(case: Case, body: KeyCreate) -> Done:
    """A new one. Its text is in the answer and nowhere else."""
    if (made := case.earlier()) is not None:
        return _made_earlier(case, made.object, made.salt)
    values = given(body)
    account = _account_for(case, values)
    team = _team_for(case, values)
    place = Place(
        teams=frozenset([team.id]) if team is not None else frozenset(),
        account=account.id if account else None,
    )
    grant = case.permit(place, "team", team.id if team is not None else "")
    case.check_names(grant, values)
    if team is None and not case.is_house_wide(grant):
        raise invalid_request("A key has to be of one of your teams.", param="team", hint="Name it.")
    project = _project(case, values.get("project"), team)
    fields = converted({k: v for k, v in values.items() if k not in ("team", "project", "account")})
    entropy, salt = case.entropy()
    text = virtual_key_text(entropy)
    key = VirtualKey(
        id=case.new_id("key_"),
        digest=case.tools.key_digest(text),
        hint=key_hint(text),
        team=team.id if team is not None else None,
        project=project.id if project is not None else None,
        account=account.id if account is not None else None,
        created_at=case.now,
        **fields,
    )
    case.check_held(_holding_of_key(key), _held(case, grant, key))
    case.register.add_keys(key)
    case.remember(key.id, salt)
    case.record(f"key:{key.id}", None, key)
    view = key_view(key, case.now)
    return Done(key_made(view, text), 201, etag_of(view))


def _made_earlier(case: Case, key_id: str, salt: str) -> Done:
    """The same answer again. A text that the key no longer has is not told."""
    key = case.register.key(key_id)
    if key is None:
        missing("key", key_id)
    case.permit(_place(key), "key", key_id)
    text = virtual_key_text(case.entropy_again(salt))
    view = key_view(key, case.now)
    is_its = key.digest == case.tools.key_digest(text)
    return Done(key_made(view, text if is_its else None), 201, etag_of(view))


def change_key(case: Case, body: KeyChange) -> Done:
    """Other values for some fields."""
    key, grant = _found(case)
    values = case.check_fields(grant, body)
    case.check_match(key_view(key, case.now))
    _check_alive(key)
    if "project" in values:
        team = case.team(key.team) if key.team is not None else None
        project = _project(case, values["project"], team)
        values["project"] = project.id if project is not None else None
    new = replace(key, **converted(values))
    if given(body):
        case.check_held(_holding_of_key(new), _held(case, grant, new), before=_holding_of_key(key))
        case.register.put_key(new)
        case.record(f"key:{key.id}", key, new)
    return shown(key_view(new, case.now))


def rotate_key(case: Case, body: KeyRotate) -> Done:
    """Another text; the one before opens as well until its grace is over."""
    if (made := case.earlier()) is not None:
        return _made_earlier(case, made.object, made.salt)
    key, grant = _found(case)
    case.check_fields(grant, body)
    case.check_match(key_view(key, case.now))
    _check_alive(key)
    entropy, salt = case.entropy()
    text = virtual_key_text(entropy)
    new = replace(
        key,
        digest=case.tools.key_digest(text),
        scheme="hmac",
        hint=key_hint(text),
        former_digest=key.digest if body.grace_s else None,
        former_until=case.now + body.grace_s if body.grace_s else None,
    )
    case.register.put_key(new)
    case.remember(key.id, salt)
    case.record(f"key:{key.id}", key, new)
    view = key_view(new, case.now)
    return Done(key_made(view, text), 200, etag_of(view))


def disable_key(case: Case) -> Done:
    """Until it is enabled again."""
    return _put(case, "disabled_at", case.now)


def enable_key(case: Case) -> Done:
    """It opens again."""
    return _put(case, "disabled_at", None)


def revoke_key(case: Case) -> Done:
    """For good."""
    return _put(case, "revoked_at", case.now)


def _put(case: Case, field: str, value: float | None) -> Done:
    key, _ = _found(case)
    case.check_match(key_view(key, case.now))
    is_there = getattr(key, field) is not None
    new = key if is_there == (value is not None) else replace(key, **{field: value})
    if field == "disabled_at" and key.revoked_at is not None:
        _check_alive(key)
    if new is not key:
        case.register.put_key(new)
    case.record(f"key:{key.id}", key, new)
    return shown(key_view(new, case.now))


# -- who and where


def _found(case: Case) -> tuple[VirtualKey, Grant]:
    key_id = case.errand.target or ""
    key = case.register.key(key_id)
    if key is None:
        missing("key", key_id)
    return key, case.permit(_place(key), "key", key_id)


def _place(key: VirtualKey) -> Place:
    return Place(teams=frozenset([key.team]) if key.team is not None else frozenset(), account=key.account)


def _check_alive(key: VirtualKey) -> None:
    if key.revoked_at is not None:
        raise conflict("This key has been revoked, for good.", "Make another one.")


def _account_for(case: Case, values: dict[str, Any]) -> Account | None:
    """Whose the key will be: a member's keys are its own."""
    named = values.get("account")
    view = case.view()
    if named is None:
        is_member = not view.is_all and not view.teams
        return case.register.find(Account, case.actor.id) if is_member else None
    account = case.register.find(Account, named)
    if account is None or account.disabled_at is not None:
        missing("account", named)
    if not view.shows(case.place_of_account(account)):
        missing("account", named)
    return account


def _team_for(case: Case, values: dict[str, Any]) -> Team | None:
    named: str | None = values.get("team")
    if named is None:
        teams = {grant.team for grant in case.actor.grants}
        named = teams.pop() if len(teams) == 1 else None
    if named is None:
        return None
    team = case.team(named)
    if team is None:
        missing("team", named)
    return team


def _project(case: Case, project_id: str | None, team: Team | None) -> Project | None:
    if project_id is None:
        return None
    project = case.register.find(Project, project_id)
    if project is None or team is None or project.team != team.id:
        missing("project", project_id)
    return project


def _held(case: Case, grant: Grant, key: VirtualKey) -> list[Holding]:
    """What whoever acts has itself of what it gives the key; those the key belongs to bound it besides."""
    team = case.team(key.team) if key.team is not None else None
    account = case.register.find(Account, key.account) if key.account is not None else None
    held = case.held_in(grant, team, account)
    if held and key.project is not None:
        project = case.register.find(Project, key.project)
        held += [holding_of(project)] if project is not None else []
    return held


def _holding_of_key(key: VirtualKey) -> Holding:
    return Holding(
        routes=key.routes,
        limits=key.limits,
        budget=key.budget,
        doors=key.doors,
        networks=key.networks,
        hours=key.hours,
        max_output_tokens=key.max_output_tokens,
        expires_at=key.expires_at,
    )
