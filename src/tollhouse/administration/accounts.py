"""People and machines, the roles they hold, and the admin keys by which they show who they are."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from tollhouse.core.admin_keys import admin_key_hint, admin_key_text
from tollhouse.core.authority import TEAM_ROLES, Grant, Place, View, is_above_all, may_grant
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.people import Account, AccountKind, AdminKey, RoleAssignment
from tollhouse.ports.store import StoreRefused

from .case import Case, Done, conflict, converted, etag_of, holding_of, missing, shown
from .fields import (
    AccountQuery,
    AdminKeyCreate,
    ListQuery,
    RoleAssignmentCreate,
    ServiceAccountChange,
    ServiceAccountCreate,
    TeamQuery,
    UserChange,
    UserCreate,
)
from .views import account_view, admin_key_made, admin_key_view, assignment_view

_WORD: Final = {AccountKind.USER: "user", AccountKind.SERVICE: "service account"}
_EVERY_KEY: Final = View(is_all=True)
_KEYS_AT_ONCE: Final = 500

# -- users and service accounts


def list_users(case: Case, query: ListQuery) -> Done:
    """Those that may be seen, by id."""
    return _listed(case, query, {"kind": AccountKind.USER})


def list_service_accounts(case: Case, query: TeamQuery) -> Done:
    """Those that may be seen, by id."""
    more = {"team": query.team} if query.team is not UNSET else {}
    return _listed(case, query, {"kind": AccountKind.SERVICE, **more})


def _listed(case: Case, query: ListQuery, filters: dict[str, object]) -> Done:
    found = case.register.listed(
        Account, case.view(), limit=query.limit + 1, after=query.after or None, filters=filters
    )
    return case.page(found, query.limit, account_view, lambda account: account.id)


def get_user(case: Case) -> Done:
    """One of them."""
    return shown(account_view(_account(case, AccountKind.USER)[0]))


def get_service_account(case: Case) -> Done:
    """One of them."""
    return shown(account_view(_account(case, AccountKind.SERVICE)[0]))


def create_user(case: Case, body: UserCreate) -> Done:
    """A new person, who holds no role yet."""
    grant = case.permit(Place(), "user", "")
    return _create(case, grant, body, AccountKind.USER, "usr_")


def create_service_account(case: Case, body: ServiceAccountCreate) -> Done:
    """A new machine, which holds no role yet."""
    team = body.team if body.team is not UNSET else None
    grant = case.permit(
        Place(teams=frozenset([team]) if team is not None else frozenset()), "team", team or ""
    )
    if team is not None and case.team(team) is None:
        missing("team", team)
    return _create(case, grant, body, AccountKind.SERVICE, "svc_")


def _create(
    case: Case, grant: Grant, body: UserCreate | ServiceAccountCreate, kind: AccountKind, prefix: str
) -> Done:
    values = case.check_fields(grant, body)
    if (made := case.earlier()) is not None and (old := case.register.find(Account, made.object)) is not None:
        return shown(account_view(old), 201)
    account = Account(id=case.new_id(prefix), kind=kind, created_at=case.now, **converted(values))
    team = case.team(account.team) if account.team is not None else None
    case.check_held(replace(holding_of(account), routes=()), case.held_in(grant, team))
    try:
        case.register.add(account)
    except StoreRefused as error:
        raise conflict(
            "There is a user with this address already.", "Use that one.", param="email"
        ) from error
    case.register.touch_rules()
    case.remember(account.id)
    case.record(f"account:{account.id}", None, account)
    return shown(account_view(account), 201)


def change_user(case: Case, body: UserChange) -> Done:
    """Other values for some fields."""
    return _change(case, body, AccountKind.USER)


def change_service_account(case: Case, body: ServiceAccountChange) -> Done:
    """Other values for some fields."""
    return _change(case, body, AccountKind.SERVICE)


def _change(case: Case, body: UserChange | ServiceAccountChange, kind: AccountKind) -> Done:
    account, grant = _account(case, kind)
    values = case.check_fields(grant, body)
    _check_rank(case, account)
    case.check_match(account_view(account))
    new = replace(account, **converted(values))
    try:
        case.register.put(new)
    except StoreRefused as error:
        raise conflict(
            "There is a user with this address already.", "Use that one.", param="email"
        ) from error
    case.register.touch_rules()
    case.record(f"account:{account.id}", account, new)
    return shown(account_view(new))


def disable_user(case: Case) -> Done:
    """It is let in nowhere any more, and its virtual keys are disabled."""
    return _switch(case, AccountKind.USER, is_off=True)


def enable_user(case: Case) -> Done:
    """It is let in again. Its virtual keys stay disabled until each is enabled."""
    return _switch(case, AccountKind.USER, is_off=False)


def disable_service_account(case: Case) -> Done:
    """It is let in nowhere any more, and its virtual keys are disabled."""
    return _switch(case, AccountKind.SERVICE, is_off=True)


def enable_service_account(case: Case) -> Done:
    """It is let in again. Its virtual keys stay disabled until each is enabled."""
    return _switch(case, AccountKind.SERVICE, is_off=False)


def _switch(case: Case, kind: AccountKind, *, is_off: bool) -> Done:
    account, _ = _account(case, kind)
    _check_rank(case, account)
    case.check_match(account_view(account))
    new = account
    if is_off != (account.disabled_at is not None):
        new = replace(account, disabled_at=case.now if is_off else None)
        case.register.put(new)
    if is_off:
        _disable_keys(case, account.id)
    case.record(f"account:{account.id}", account, new)
    return shown(account_view(new))


def _disable_keys(case: Case, account_id: str) -> None:
    after = None
    while keys := case.register.keys(
        _EVERY_KEY, limit=_KEYS_AT_ONCE, after=after, filters={"account": account_id}
    ):
        for key in keys:
            if key.disabled_at is None and key.revoked_at is None:
                new = replace(key, disabled_at=case.now)
                case.register.put_key(new)
                case.record(f"key:{key.id}", key, new)
        after = keys[-1].id


def _account(case: Case, kind: AccountKind) -> tuple[Account, Grant]:
    account_id = case.errand.target or ""
    account = case.register.find(Account, account_id)
    if account is None or account.kind is not kind:
        missing(_WORD[kind], account_id)
    return account, case.permit(case.place_of_account(account), _WORD[kind], account_id)


def _check_rank(case: Case, account: Account) -> None:
    """Raises: GatewayError `forbidden` for whoever could not have granted what the account holds. Oneself is free."""
    if account.id == case.actor.id:
        return
    if not is_above_all(case.actor, [one.grant for one in case.register.assignments_of(account.id)]):
        raise GatewayError(
            ErrorKind.FORBIDDEN,
            "This account holds a role that you do not hold.",
            blame=Blame.CLIENT,
            hint="Ask somebody whose role is as high.",
            param="account",
        )


# -- admin keys


def list_admin_keys(case: Case, query: AccountQuery) -> Done:
    """Those that may be seen, by id."""
    filters = {"account": query.account} if query.account is not UNSET else {}
    found = case.register.listed(
        AdminKey, case.view(), limit=query.limit + 1, after=query.after or None, filters=filters
    )
    return case.page(found, query.limit, admin_key_view, lambda key: key.id)


def get_admin_key(case: Case) -> Done:
    """One of them."""
    return shown(admin_key_view(_admin_key(case)[0]))


def create_admin_key(case: Case, body: AdminKeyCreate) -> Done:
    """A new one. Its text is in the answer and nowhere else."""
    account_id = body.account if body.account is not UNSET else case.actor.id
    account = case.register.find(Account, account_id)
    if account is None:
        missing("account", account_id)
    grant = case.permit(_place_of_keys(account), "account", account_id)
    values = converted(case.check_fields(grant, body))
    _check_rank(case, account)
    if account.disabled_at is not None:
        raise conflict("This account is disabled.", "Enable it first.", param="account")
    if (made := case.earlier()) is not None and (
        old := case.register.find(AdminKey, made.object)
    ) is not None:
        text = admin_key_text(case.entropy_again(made.salt))
        return Done(admin_key_made(admin_key_view(old), text), 201, etag_of(admin_key_view(old)))
    entropy, salt = case.entropy()
    text = admin_key_text(entropy)
    key = AdminKey(
        id=case.new_id("adk_"),
        account=account_id,
        name=body.name,
        digest=case.tools.admin_key_digests(text)[0],
        hint=admin_key_hint(text),
        created_at=case.now,
        expires_at=values.get("expires_at"),
    )
    case.register.add(key)
    case.remember(key.id, salt)
    case.record(f"admin_key:{key.id}", None, key)
    return Done(admin_key_made(admin_key_view(key), text), 201, etag_of(admin_key_view(key)))


def revoke_admin_key(case: Case) -> Done:
    """For good."""
    key, account = _admin_key(case)
    if account is not None:
        _check_rank(case, account)
    case.check_match(admin_key_view(key))
    new = key if key.revoked_at is not None else replace(key, revoked_at=case.now)
    case.register.put(new)
    case.record(f"admin_key:{key.id}", key, new)
    return shown(admin_key_view(new))


def _admin_key(case: Case) -> tuple[AdminKey, Account | None]:
    key_id = case.errand.target or ""
    key = case.register.find(AdminKey, key_id)
    if key is None:
        missing("admin key", key_id)
    account = case.register.find(Account, key.account)
    place = _place_of_keys(account) if account is not None else Place(account=key.account)
    case.permit(place, "admin key", key_id)
    return key, account


def _place_of_keys(account: Account) -> Place:
    """The admin keys of a machine are its team's to make and to revoke, those of a person the person's alone."""
    is_of_team = account.kind is AccountKind.SERVICE and account.team is not None
    return Place(
        teams=frozenset([account.team]) if is_of_team and account.team else frozenset(), account=account.id
    )


# -- roles


def list_role_assignments(case: Case, query: AccountQuery) -> Done:
    """Those that may be seen, by id."""
    filters = {"account": query.account} if query.account is not UNSET else {}
    found = case.register.listed(
        RoleAssignment, case.view(), limit=query.limit + 1, after=query.after or None, filters=filters
    )
    return case.page(found, query.limit, assignment_view, lambda one: one.id)


def get_role_assignment(case: Case) -> Done:
    """One of them."""
    return shown(assignment_view(_assignment(case)))


def create_role_assignment(case: Case, body: RoleAssignmentCreate) -> Done:
    """An account gets a role that whoever gives it holds as well."""
    team = body.team if body.team is not UNSET else None
    granted = Grant(body.role, team)
    if (body.role in TEAM_ROLES) != (team is not None):
        where = (
            "is held in a team: name it" if team is None else "is held in the whole house: leave the team out"
        )
        raise invalid_request(f"The role {body.role.value} {where}.", param="team")
    place = Place(teams=frozenset([team]) if team is not None else frozenset())
    grant = case.permit(place, "team", team or "")
    case.check_fields(grant, body)
    if team is not None and case.team(team) is None:
        missing("team", team)
    account = case.register.find(Account, body.account)
    # Whoever looks after a team gives roles to those who are in it already; others are let in from above.
    if account is None or not case.view().shows(case.place_of_account(account)):
        missing("account", body.account)
    _check_may_grant(case, granted)
    if (made := case.earlier()) is not None and (old := case.register.find(RoleAssignment, made.object)):
        return shown(assignment_view(old), 201)
    if any(one.grant == granted for one in case.register.assignments_of(account.id)):
        raise conflict("The account holds this role already.", "Nothing has to be done.")
    assignment = RoleAssignment(
        id=case.new_id("role_"), account=account.id, role=body.role, team=team, created_at=case.now
    )
    case.register.add(assignment)
    case.remember(assignment.id)
    case.record(f"role_assignment:{assignment.id}", None, assignment)
    return shown(assignment_view(assignment), 201)


def delete_role_assignment(case: Case) -> Done:
    """The account holds the role no more."""
    assignment = _assignment(case)
    _check_may_grant(case, assignment.grant)
    case.check_match(assignment_view(assignment))
    case.register.remove(RoleAssignment, assignment.id)
    case.record(f"role_assignment:{assignment.id}", assignment, None)
    return Done(assignment_view(assignment))


def _assignment(case: Case) -> RoleAssignment:
    assignment_id = case.errand.target or ""
    one = case.register.find(RoleAssignment, assignment_id)
    if one is None:
        missing("role assignment", assignment_id)
    teams = frozenset([one.team]) if one.team is not None else frozenset()
    case.permit(Place(teams=teams, account=one.account), "role assignment", assignment_id)
    return one


def _check_may_grant(case: Case, granted: Grant) -> None:
    if not may_grant(case.actor, granted):
        raise GatewayError(
            ErrorKind.FORBIDDEN,
            f"You do not hold the role {granted.role.value}, and cannot give or take it.",
            blame=Blame.CLIENT,
            hint="Ask somebody whose role is as high.",
            param="role",
        )
