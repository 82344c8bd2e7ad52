"""What the administration needs of the store: one transaction in which it looks, decides, changes and writes it down.

Blocking, like the store. Every method may raise StoreUnavailable; those that write StoreRefused, where something that
must be unique is there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import msgspec

from tollhouse.core.audit import AuditHead, AuditRow
from tollhouse.core.authority import View
from tollhouse.core.exchange import ExchangeRecord
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Scope
from tollhouse.core.pauses import Pause
from tollhouse.core.people import Account, AdminKey, Organisation, Project, RoleAssignment, Team
from tollhouse.core.sign_on import AdminSession, ExternalIdentity

from .store import UsageRow

R = TypeVar("R", bound=msgspec.Struct)


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What was made by a request with an idempotency key."""

    id: str
    """Of the actor and its key together; neither can be read off it."""
    request: str
    """Digest of what was asked."""
    object: str
    """The id of what was made."""
    salt: str
    """Hex. From it, and a key that is not in the store, comes the text of the credential that was made."""
    at: float


class HouseRules(msgspec.Struct, frozen=True, kw_only=True):
    """What workers have to know of the administration besides keys."""

    version: int
    """Grows with every change to any of it."""
    pauses: tuple[Pause, ...] = ()
    scopes: tuple[Scope, ...] = ()
    """Of the organisation, teams, projects and accounts that have limits or budgets."""
    team_routes: Mapping[str, tuple[str, ...]] = {}
    project_routes: Mapping[str, tuple[str, ...]] = {}


def rules_of(
    version: int,
    *,
    pauses: Iterable[Pause],
    organisation: Organisation,
    teams: Sequence[Team],
    projects: Sequence[Project],
    accounts: Iterable[Account],
) -> HouseRules:
    """The rules that these make."""
    scopes = [
        _scope("organisation", organisation, organisation.title),
        *[_scope("team", team, team.title) for team in teams],
        *[_scope("project", project, project.title) for project in projects],
        *[_scope("account", account, account.name) for account in accounts],
    ]
    return HouseRules(
        version=version,
        pauses=tuple(pauses),
        scopes=tuple([scope for scope in scopes if scope.is_bounded]),
        team_routes={team.id: team.routes for team in teams if team.routes is not None},
        project_routes={one.id: one.routes for one in projects if one.routes is not None},
    )


def _scope(word: str, one: Organisation | Team | Project | Account, name: str) -> Scope:
    return Scope(id=f"{word}:{one.id}", name=name or one.id, limits=one.limits, budget=one.budget)


class Register(Protocol):
    """The people, their things and the audit log, inside one transaction.

    Kinds are record types of `core.people`, and `Pause`.
    """

    def organisation(self) -> Organisation:
        """The one there is."""

    def find(self, kind: type[R], id: str) -> R | None: ...  # noqa: A002

    def add(self, record: msgspec.Struct) -> None:
        """Raises: StoreRefused where the id, or what else is unique, is there already."""

    def put(self, record: msgspec.Struct) -> None:
        """In place of the one with its id."""

    def remove(self, kind: type[msgspec.Struct], id: str) -> None: ...  # noqa: A002

    def listed(
        self,
        kind: type[R],
        view: View,
        *,
        limit: int,
        after: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Sequence[R]:
        """Those that the view shows and whose fields equal the filters', by id, the next after `after`."""

    def admin_key_by_digest(self, digest: str) -> AdminKey | None: ...

    def session_by_digest(self, digest: str) -> AdminSession | None: ...

    def account_by_email(self, email: str) -> Account | None: ...

    def identities_of(self, account: str) -> Sequence[ExternalIdentity]: ...

    def assignments_of(self, account: str) -> Sequence[RoleAssignment]: ...

    def key(self, key_id: str) -> VirtualKey | None: ...

    def add_keys(self, *keys: VirtualKey) -> None:
        """Raises: StoreRefused if an id or a digest is there already."""

    def put_key(self, key: VirtualKey) -> None:
        """In place of the state that it was made from. Raises: StoreRefused if that is not the newest."""

    def keys(
        self,
        view: View,
        *,
        limit: int,
        after: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Sequence[VirtualKey]:
        """Like `listed`."""

    def exchanges(
        self,
        view: View,
        *,
        limit: int,
        before: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Sequence[ExchangeRecord]:
        """Newest first, the next before `before`. The view's account is that of the keys."""

    def exchange(self, exchange_id: str) -> ExchangeRecord | None: ...

    def usage(self, by: str, since: float | None) -> Sequence[UsageRow]: ...

    def audit_head(self) -> AuditHead | None:
        """The newest. Where the transaction writes, no other one appends until it has ended."""

    def append_audit(self, row: AuditRow, head: AuditHead) -> None: ...

    def audit_rows(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        """By number, the next after that one."""

    def audit_rows_before(self, before: int | None, *, limit: int) -> Sequence[AuditRow]:
        """Newest first."""

    def remembered(self, id: str) -> Remembered | None: ...  # noqa: A002

    def remember(self, made: Remembered, forget_before: float) -> None:
        """And forget those that are older than `forget_before`."""

    def touch_rules(self) -> None:
        """Workers have to be told the rules anew."""


class AdministrationStore(Protocol):
    """Opens the register."""

    def administering(self) -> AbstractContextManager[Register]:
        """One transaction that writes, and no other beside it: committed where the block ends well, else undone."""

    def inquiring(self) -> AbstractContextManager[Register]:
        """One that reads."""

    def house_rules(self, since_version: int = -1) -> HouseRules | None:
        """None where they are still those of that version."""
