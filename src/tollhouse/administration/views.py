"""How things are shown. Digests of credentials are in none of them, and texts only where they have just been made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from tollhouse.config import allowances
from tollhouse.core import limits
from tollhouse.core.audit import AuditFault, AuditHead, AuditRow
from tollhouse.core.authority import Action
from tollhouse.core.exchange import ExchangeRecord
from tollhouse.core.identity import VirtualKey
from tollhouse.core.pauses import Pause, PauseKind
from tollhouse.core.people import Account, AdminKey, Organisation, Project, RoleAssignment, Team

_NANO: Final = 1_000_000_000


class KeyView(Struct, frozen=True, kw_only=True):
    """A virtual key."""

    id: str
    name: str
    state: str
    """`active`, `disabled`, `expired` or `revoked`."""
    hint: str
    team: str | None
    project: str | None
    account: str | None
    routes: tuple[str, ...]
    limits: allowances.Limits
    budget: allowances.Budget | None
    doors: tuple[str, ...]
    networks: tuple[str, ...]
    hours: tuple[str, ...]
    tags: tuple[str, ...]
    max_output_tokens: int | None
    metadata: Mapping[str, str]
    created_at: str | None
    expires_at: str | None
    disabled_at: str | None
    revoked_at: str | None


class KeyMade(KeyView, frozen=True, kw_only=True):
    """A virtual key with its text, which is shown now and never again."""

    key: str | None
    """None where the request that made it was repeated after the key has been given another text."""


class TeamView(Struct, frozen=True, kw_only=True):
    """A team."""

    id: str
    organisation: str
    title: str
    routes: tuple[str, ...] | None
    limits: allowances.Limits
    budget: allowances.Budget | None
    metadata: Mapping[str, str]
    created_at: str | None
    is_declared: bool
    """Whether it stands in the configuration, and is changed there."""


class OrganisationView(Struct, frozen=True, kw_only=True):
    """The organisation."""

    id: str
    title: str
    limits: allowances.Limits
    budget: allowances.Budget | None
    metadata: Mapping[str, str]


class ProjectView(Struct, frozen=True, kw_only=True):
    """A project of a team."""

    id: str
    team: str
    title: str
    routes: tuple[str, ...] | None
    limits: allowances.Limits
    budget: allowances.Budget | None
    metadata: Mapping[str, str]
    created_at: str | None


class AccountView(Struct, frozen=True, kw_only=True):
    """A user or a service account."""

    id: str
    kind: str
    name: str
    email: str | None
    team: str | None
    limits: allowances.Limits
    budget: allowances.Budget | None
    metadata: Mapping[str, str]
    created_at: str | None
    disabled_at: str | None


class AdminKeyView(Struct, frozen=True, kw_only=True):
    """An admin key."""

    id: str
    account: str
    name: str
    hint: str
    created_at: str | None
    expires_at: str | None
    revoked_at: str | None


class AdminKeyMade(AdminKeyView, frozen=True, kw_only=True):
    """An admin key with its text, which is shown now and never again."""

    key: str


class RoleAssignmentView(Struct, frozen=True, kw_only=True):
    """An account holds a role."""

    id: str
    account: str
    role: str
    team: str | None
    created_at: str | None


class PauseView(Struct, frozen=True, kw_only=True):
    """Something that is paused."""

    id: str
    kind: PauseKind
    target: str
    reason: str
    by: str
    at: str | None


class AuditView(Struct, frozen=True, kw_only=True):
    """A row of the audit log."""

    number: int
    at: str | None
    actor_id: str
    actor_name: str
    action: str
    object: str
    before: str | None
    after: str | None
    before_digest: str | None
    after_digest: str | None
    request_id: str
    peer: str
    seal_before: str
    seal: str


class AuditVerdict(Struct, frozen=True, kw_only=True):
    """Whether the audit log is whole."""

    is_whole: bool
    count: int
    seal: str
    """Of the last row: written down elsewhere, it shows later that nothing before it was put back."""
    faults: tuple[AuditFault, ...]


class RequestView(Struct, frozen=True, kw_only=True):
    """A request in short."""

    id: str
    at: str | None
    operation: str
    key_id: str | None
    key_name: str | None
    team: str | None
    route: str | None
    deployment: str | None
    provider: str | None
    model: str | None
    outcome: str
    status: int | None
    error: str | None
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None
    duration_s: float | None


class UsageView(Struct, frozen=True, kw_only=True):
    """Sums over the requests of one group. What nobody knows is null, never 0."""

    group: str
    key_id: str | None
    requests: int
    ok: int
    input_tokens: int | None
    output_tokens: int | None
    requests_without_usage: int
    cost_nanousd: int | None
    requests_without_price: int


class GrantView(Struct, frozen=True, kw_only=True):
    """A role and where it is held."""

    role: str
    team: str | None


class SessionMade(Struct, frozen=True, kw_only=True):
    """A session, with its text, which is shown now and never again."""

    id: str
    session: str
    account: str
    expires_at: str
    idle_s: int
    """It ends before, when nothing has been asked for so long."""


class SessionEnded(Struct, frozen=True, kw_only=True):
    """A session that lets in no more."""

    id: str


class MeView(Struct, frozen=True, kw_only=True):
    """Who asks."""

    id: str
    name: str
    roles: tuple[GrantView, ...]
    actions: tuple[Action, ...]
    """What it may do to something or other."""


def instant(at: float | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown_limits(kept: limits.Limits) -> allowances.Limits:
    """As the configuration writes them."""
    return allowances.Limits(**{name: getattr(kept, name) for name in limits.Limits.__struct_fields__})


def shown_budget(kept: limits.Budget | None) -> allowances.Budget | None:
    """As the configuration writes it."""
    if kept is None:
        return None
    return allowances.Budget(
        usd=kept.nanousd / _NANO,
        period=kept.period,
        timezone=kept.timezone,
        hard=kept.is_hard,
        on_low_budget=kept.on_low,
        alerts_percent=kept.alerts_percent,
    )


def state_of(key: VirtualKey, now: float) -> str:
    """In one word."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "disabled" if key.disabled_at is not None else "active"


def key_view(key: VirtualKey, now: float) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        state=state_of(key, now),
        hint=key.hint,
        team=key.team,
        project=key.project,
        account=key.account,
        routes=key.routes,
        limits=shown_limits(key.limits),
        budget=shown_budget(key.budget),
        doors=key.doors,
        networks=key.networks,
        hours=key.hours,
        tags=key.tags,
        max_output_tokens=key.max_output_tokens,
        metadata=key.metadata,
        created_at=instant(key.created_at),
        expires_at=instant(key.expires_at),
        disabled_at=instant(key.disabled_at),
        revoked_at=instant(key.revoked_at),
    )


def key_made(view: KeyView, text: str | None) -> KeyMade:
    return KeyMade(key=text, **{name: getattr(view, name) for name in KeyView.__struct_fields__})


def team_view(team: Team, *, is_declared: bool) -> TeamView:
    return TeamView(
        id=team.id,
        organisation=team.organisation,
        title=team.title,
        routes=team.routes,
        limits=shown_limits(team.limits),
        budget=shown_budget(team.budget),
        metadata=team.metadata,
        created_at=instant(team.created_at) if team.created_at else None,
        is_declared=is_declared,
    )


def organisation_view(one: Organisation) -> OrganisationView:
    return OrganisationView(
        id=one.id,
        title=one.title,
        limits=shown_limits(one.limits),
        budget=shown_budget(one.budget),
        metadata=one.metadata,
    )


def project_view(project: Project) -> ProjectView:
    return ProjectView(
        id=project.id,
        team=project.team,
        title=project.title,
        routes=project.routes,
        limits=shown_limits(project.limits),
        budget=shown_budget(project.budget),
        metadata=project.metadata,
        created_at=instant(project.created_at),
    )


def account_view(account: Account) -> AccountView:
    return AccountView(
        id=account.id,
        kind=account.kind.value,
        name=account.name,
        email=account.email,
        team=account.team,
        limits=shown_limits(account.limits),
        budget=shown_budget(account.budget),
        metadata=account.metadata,
        created_at=instant(account.created_at),
        disabled_at=instant(account.disabled_at),
    )


def admin_key_view(key: AdminKey) -> AdminKeyView:
    return AdminKeyView(
        id=key.id,
        account=key.account,
        name=key.name,
        hint=key.hint,
        created_at=instant(key.created_at),
        expires_at=instant(key.expires_at),
        revoked_at=instant(key.revoked_at),
    )


def admin_key_made(view: AdminKeyView, text: str) -> AdminKeyMade:
    return AdminKeyMade(key=text, **{name: getattr(view, name) for name in AdminKeyView.__struct_fields__})


def assignment_view(one: RoleAssignment) -> RoleAssignmentView:
    return RoleAssignmentView(
        id=one.id, account=one.account, role=one.role.value, team=one.team, created_at=instant(one.created_at)
    )


def pause_view(pause: Pause) -> PauseView:
    return PauseView(
        id=pause.id,
        kind=pause.kind,
        target=pause.target,
        reason=pause.reason,
        by=pause.by,
        at=instant(pause.at),
    )


def audit_view(row: AuditRow) -> AuditView:
    values = {name: getattr(row, name) for name in AuditRow.__struct_fields__}
    return AuditView(**{**values, "at": instant(row.at)})


def verdict_of(head: AuditHead, faults: tuple[AuditFault, ...]) -> AuditVerdict:
    return AuditVerdict(is_whole=not faults, count=head.count, seal=head.seal, faults=faults)


def request_view(record: ExchangeRecord) -> RequestView:
    usage = record.usage
    return RequestView(
        id=record.id,
        at=instant(record.at),
        operation=record.operation.value,
        key_id=record.caller.key_id,
        key_name=record.caller.key_name,
        team=record.caller.team,
        route=record.route,
        deployment=record.deployment,
        provider=record.provider,
        model=record.model,
        outcome=record.outcome.value,
        status=record.status,
        error=record.error,
        attempts=len(record.attempts),
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        cost_nanousd=record.cost_nanousd,
        duration_s=record.duration_s,
    )
