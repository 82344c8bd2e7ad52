"""What can only be read: the audit log, requests, usage, and who one is."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from tollhouse.core.audit import AuditHead, Verifier
from tollhouse.core.authority import Action, Place, may_ever
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.ports.administration import Register
from tollhouse.ports.store import UsageRow

from .case import Case, Done, missing
from .errand import Tools
from .fields import ListQuery, RequestQuery, UsageQuery, VerifyQuery, given
from .views import (
    GrantView,
    MeView,
    UsageView,
    audit_view,
    request_view,
    verdict_of,
)

_ROWS_AT_ONCE: Final = 1_000


def list_audit(case: Case, query: ListQuery) -> Done:
    """Newest first; `after` is the number of the last row of the part before."""
    before = None
    if query.after is not UNSET:
        if not (query.after.isascii() and query.after.isdigit() and len(query.after) <= 15):
            raise invalid_request("A row of the audit log has a number.", param="after")
        before = int(query.after)
    found = case.register.audit_rows_before(before, limit=query.limit + 1)
    return case.page(found, query.limit, audit_view, lambda row: row.number)


def verify_audit(case: Case, query: VerifyQuery) -> Done:
    """Read all of it, and say what is missing, altered or elsewhere."""
    kept = None
    if query.count is not UNSET or query.seal is not UNSET:
        if query.count is UNSET or query.seal is UNSET:
            raise invalid_request("A head has a count and a seal.", param="seal", hint="Send both.")
        kept = AuditHead(count=query.count, seal=query.seal)
    return _AuditReading(case.tools, kept).read_on(case.register)


class _AuditReading:
    """Reads the audit log in portions. What is appended meanwhile is read as well: the head is looked at last."""

    def __init__(self, tools: Tools, kept: AuditHead | None) -> None:
        """`kept` is a head that somebody wrote down earlier."""
        self._verifier = Verifier(tools.audit_keys)
        self._kept = kept
        self._after = 0

    def read_on(self, register: Register) -> Done:
        """The next portion. The last rows and the head are read in one transaction, so that they belong together."""
        rows = register.audit_rows(after=self._after, limit=_ROWS_AT_ONCE)
        self._verifier.read(rows, wanted=self._kept.count if self._kept is not None else None)
        if len(rows) == _ROWS_AT_ONCE:
            self._after = rows[-1].number
            return Done(None, goes_on=self.read_on)
        head = register.audit_head()
        return Done(verdict_of(head or AuditHead(), self._verifier.faults(head, self._kept)))


def list_requests(case: Case, query: RequestQuery) -> Done:
    """Newest first."""
    filters = {name: value for name, value in given(query).items() if name not in ("limit", "after")}
    found = case.register.exchanges(
        case.view(), limit=query.limit + 1, before=query.after or None, filters=filters
    )
    return case.page(found, query.limit, request_view, lambda record: record.id)


def get_request(case: Case) -> Done:
    """One of them."""
    request_id = case.errand.target or ""
    record = case.register.exchange(request_id)
    if record is None:
        missing("request", request_id)
    caller = record.caller
    key = case.register.key(caller.key_id) if caller.key_id is not None else None
    place = Place(
        teams=frozenset([caller.team]) if caller.team is not None else frozenset(),
        account=key.account if key is not None else None,
    )
    case.permit(place, "request", request_id)
    return Done(request_view(record))


def get_usage(case: Case, query: UsageQuery) -> Done:
    """Sums, largest number of requests first. Who does not see everything sees those of its teams and keys."""
    view = case.view()
    since = query.since.timestamp() if query.since is not UNSET else None
    if not view.is_all and query.by not in ("key", "team"):
        raise GatewayError(
            ErrorKind.FORBIDDEN,
            f"Sums by {query.by} are of the whole house.",
            blame=Blame.CLIENT,
            hint="Ask for those by key or team.",
            param="by",
        )
    rows = case.register.usage(query.by, since)
    if not view.is_all:
        seen = view.teams if query.by == "team" else _keys_seen(case)
        rows = [row for row in rows if (row.group if query.by == "team" else row.key_id) in seen]
    return Done({"items": [_usage_view(row) for row in rows], "next": None})


def _keys_seen(case: Case) -> set[str]:
    """The ids of those the view shows."""
    found: set[str] = set()
    after = None
    while keys := case.register.keys(case.view(), limit=_ROWS_AT_ONCE, after=after):
        found.update(key.id for key in keys)
        after = keys[-1].id
    return found


def _usage_view(row: UsageRow) -> UsageView:
    return UsageView(**{name: getattr(row, name) for name in UsageView.__struct_fields__})


def get_me(case: Case) -> Done:
    """Who asks, and what it may do."""
    return Done(
        MeView(
            id=case.actor.id,
            name=case.actor.name,
            roles=tuple(GrantView(role=grant.role.value, team=grant.team) for grant in case.actor.grants),
            actions=tuple(action for action in Action if may_ever(case.actor, action)),
        )
    )


def permitted(case: Case) -> Done:
    """Whether it may be done at all: somebody else does it."""
    case.permit(Place(), "thing", case.errand.action.value)
    return Done(None)


def permitted_and_recorded(case: Case) -> Done:
    """Like `permitted`, for what changes something."""
    case.permit(Place(), "thing", case.errand.action.value)
    case.record("config", None, None)
    return Done(None)
