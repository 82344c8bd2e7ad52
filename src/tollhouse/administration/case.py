"""One errand while it is being done: who asks, inside which transaction, and the checks that every command makes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Never, TypeVar

import msgspec

from tollhouse.config.allowances import Budget, Limits, budget_of, limits_of
from tollhouse.core.audit import AuditHead, AuditRow, digest_of, sealed
from tollhouse.core.authority import (
    RULES,
    Actor,
    Grant,
    Place,
    Reach,
    View,
    forbidden_fields,
    grant_for,
    view_of,
)
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.holding import Holding, excess_of_all
from tollhouse.core.ids import time_ordered_id
from tollhouse.core.people import Account, AccountKind, Project, Team
from tollhouse.ports.administration import Register, Remembered

from .errand import Errand, Tools
from .fields import Body, given

R = TypeVar("R", bound=msgspec.Struct)

_REPEATED_S: Final = 86_400.0
"""For how long an idempotency key is remembered."""
_LONGEST_IDEMPOTENCY_KEY: Final = 255
_NEVER_SHOWN: Final = ("digest", "former_digest", "scheme", "nonce")
_KNOWN: Final = msgspec.UNSET


class Done(msgspec.Struct, frozen=True):
    """What a command gives."""

    document: object
    status: int = 200
    etag: str | None = None
    goes_on: Portion | None = None
    """Of a long one that reads: what comes next, in a transaction of its own. Only the last one's document is told."""


Portion = Callable[[Register], Done]
"""A part of a command."""


class Case:
    """Everything a command works with."""

    def __init__(self, register: Register, actor: Actor, errand: Errand, tools: Tools) -> None:
        self.register = register
        self.actor = actor
        self.errand = errand
        self.tools = tools
        self.now = tools.now()
        self.has_written = False
        """Whether the change stands in the audit log."""
        self.is_repeated = False
        """Whether it has been made before, by the same request."""

    # -- may it be done

    def permit(self, place: Place, what: str, id: str) -> Grant:  # noqa: A002
        """The role by which it may be done to a thing that stands there. Raises: GatewayError, the same as for a thing
        that is not there: nobody learns what others have."""
        grant = grant_for(self.actor, self.errand.action, place)
        if grant is None:
            missing(what, id)
        return grant

    def view(self) -> View:
        """Which things of a list may be seen."""
        return view_of(self.actor, self.errand.action)

    def is_house_wide(self, grant: Grant) -> bool:
        """Whether that role reaches everything."""
        return RULES[self.errand.action].reach[grant.role] is Reach.HOUSE

    def check_fields(self, grant: Grant, body: Body) -> dict[str, Any]:
        """The fields that stand in the request. Raises: GatewayError `forbidden`, naming one the role may not write."""
        values = given(body)
        return self.check_names(grant, values)

    def check_names(self, grant: Grant, values: dict[str, Any]) -> dict[str, Any]:
        """Like `check_fields`."""
        defaults = {"routes": (), "grace_s": 0}
        written = [name for name, value in values.items() if defaults.get(name, _KNOWN) != value]
        wrong = forbidden_fields(grant, self.errand.action, written)
        if wrong:
            raise GatewayError(
                ErrorKind.FORBIDDEN,
                f"The role {grant.role.value} may not write {', '.join(wrong)} here.",
                blame=Blame.CLIENT,
                hint="Leave it out, or ask somebody whose role may.",
                param=wrong[0],
            )
        return values

    def check_held(self, wanted: Holding, held: Sequence[Holding], before: Holding | None = None) -> None:
        """Raises: GatewayError `forbidden`, naming what goes beyond what the actor holds. What a thing had `before` was
        granted by somebody else, and is not granted by whoever changes something else of it."""
        beyond = [
            name
            for name in excess_of_all(wanted, held)
            if before is None or _value(before, name) != _value(wanted, name)
        ]
        if beyond:
            raise GatewayError(
                ErrorKind.FORBIDDEN,
                f"That would grant more than you hold: {', '.join(beyond)}.",
                blame=Blame.CLIENT,
                hint="Ask for no more than your team, project and account have themselves.",
                param=beyond[0],
            )

    def held_in(self, grant: Grant, team: Team | None, account: Account | None = None) -> list[Holding]:
        """What bounds whoever acts by this role: nothing, or its team and, where only its own things are reached,
        itself."""
        if self.is_house_wide(grant):
            return []
        return [holding_of(one) for one in (team, account) if one is not None]

    def team(self, name: str) -> Team | None:
        """Of the store or of the configuration, which comes first."""
        return self.tools.declared_teams().get(name) or self.register.find(Team, name)

    def place_of_account(self, account: Account) -> Place:
        """A machine stands in its team; a person in every team where it has a role."""
        if account.kind is AccountKind.SERVICE:
            teams = frozenset([account.team]) if account.team is not None else frozenset()
        else:
            assigned = self.register.assignments_of(account.id)
            teams = frozenset(one.team for one in assigned if one.team is not None)
        return Place(teams=teams, account=account.id)

    def check_match(self, view: object) -> None:
        """Raises: GatewayError with status 412 where the thing is not what the caller has seen."""
        if self.errand.if_match is not None and self.errand.if_match not in ("*", etag_of(view)):
            raise GatewayError(
                ErrorKind.INVALID_REQUEST,
                "Somebody has changed it since: its ETag is another one.",
                blame=Blame.CLIENT,
                hint="Get it again, and make your change to what it is now.",
                param="if-match",
                status=412,
            )

    # -- making things

    def new_id(self, prefix: str) -> str:
        return time_ordered_id(prefix, self.now, self.tools.entropy(8))

    def earlier(self) -> Remembered | None:
        """What the same request has made before. Raises: GatewayError `idempotency_mismatch` for another request with
        the same key."""
        key = self.errand.idempotency_key
        if key is None:
            return None
        if not 0 < len(key) <= _LONGEST_IDEMPOTENCY_KEY:
            raise invalid_request("An idempotency key has 1 to 255 letters.", param="idempotency-key")
        made = self.register.remembered(self._idempotency_id())
        if made is None or made.at <= self.now - _REPEATED_S:
            return None
        if made.request != self._request_digest():
            raise GatewayError(
                ErrorKind.IDEMPOTENCY_MISMATCH,
                "This idempotency key was used for another request.",
                blame=Blame.CLIENT,
                hint="Use a new one for every new thing.",
            )
        self.is_repeated = True
        return made

    def entropy(self) -> tuple[bytes, str]:
        """32 bytes for the text of a credential, and the salt to `remember` with it: with an idempotency key they come
        from the salt and a key that is not in the store, so that the text can be told again without being kept."""
        salt = self.tools.entropy(32)
        return (
            self.entropy_again(salt.hex()) if self.errand.idempotency_key is not None else salt
        ), salt.hex()

    def entropy_again(self, salt: str) -> bytes:
        """What `entropy` gave with this salt."""
        return hmac.digest(self.tools.repeat_key, f"{salt}\0{self._idempotency_id()}".encode(), "sha256")

    def remember(self, made: str, salt: str = "") -> None:
        """What this request has made, if it may be repeated."""
        if self.errand.idempotency_key is not None:
            remembered = Remembered(
                id=self._idempotency_id(),
                request=self._request_digest(),
                object=made,
                salt=salt,
                at=self.now,
            )
            self.register.remember(remembered, self.now - _REPEATED_S)

    def _idempotency_id(self) -> str:
        text = f"{self.actor.id}\0{self.errand.action}\0{self.errand.idempotency_key}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _request_digest(self) -> str:
        return hashlib.sha256(f"{self.errand.target}\0".encode() + self.errand.body).hexdigest()

    # -- writing it down

    def record(self, thing: str, before: msgspec.Struct | None, after: msgspec.Struct | None) -> None:
        """The row of the audit log for a change. Part of the transaction: without it there is no change."""
        key = self.tools.audit_keys[0]
        row = AuditRow(
            number=0,
            at=self.now,
            actor_id=self.actor.id,
            actor_name=self.actor.name,
            action=self.errand.action.value,
            object=thing,
            before=_redacted(before),
            after=_redacted(after),
            before_digest=digest_of(key, msgspec.json.encode(before)) if before is not None else None,
            after_digest=digest_of(key, msgspec.json.encode(after)) if after is not None else None,
            request_id=self.errand.request_id,
            peer=self.errand.peer,
        )
        self.register.append_audit(*sealed(key, row, self.register.audit_head() or AuditHead()))
        self.has_written = True

    # -- lists

    def page(
        self, records: Sequence[R], limit: int, shown: Callable[[R], object], id_of: Callable[[R], object]
    ) -> Done:
        """A part of a list, of which one more than `limit` was asked for."""
        kept = records[:limit]
        more = str(id_of(kept[-1])) if len(records) > limit else None
        return Done({"items": [shown(record) for record in kept], "next": more})


def etag_of(view: object) -> str:
    """Changes with everything that is shown."""
    return '"' + hashlib.sha256(msgspec.json.encode(view)).hexdigest()[:32] + '"'


def shown(view: object, status: int = 200) -> Done:
    """One thing, with its ETag."""
    return Done(view, status, etag_of(view))


def missing(what: str, id: str) -> Never:  # noqa: A002
    """Raises: GatewayError. Told of things that are not there and of those of others alike."""
    raise GatewayError(
        ErrorKind.ROUTE_NOT_FOUND,
        f"There is no {what} {id[:100]!r}.",
        blame=Blame.CLIENT,
        hint="It may have been removed, or be somebody else's.",
    )


def conflict(message: str, hint: str, param: str | None = None) -> GatewayError:
    """It cannot be done to the thing as it is: status 409."""
    return GatewayError(
        ErrorKind.INVALID_REQUEST, message, blame=Blame.CLIENT, hint=hint, param=param, status=409
    )


def holding_of(thing: Team | Project | Account) -> Holding:
    """What a team, project or account bounds."""
    return Holding(routes=getattr(thing, "routes", None), limits=thing.limits, budget=thing.budget)


def _value(holding: Holding, name: str) -> object:
    whole, _, part = name.partition(".")
    value = getattr(holding, whole)
    return getattr(value, part) if part else value


def converted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a request as records have them."""
    found = dict(values)
    if isinstance(limits := found.get("limits"), Limits):
        found["limits"] = limits_of(limits)
    if isinstance(budget := found.get("budget"), Budget):
        found["budget"] = budget_of(budget)
    if (moment := found.get("expires_at")) is not None:
        found["expires_at"] = moment.timestamp()
    return found


def _redacted(thing: msgspec.Struct | None) -> str | None:
    if thing is None:
        return None
    document = msgspec.to_builtins(thing)
    return msgspec.json.encode({k: v for k, v in document.items() if k not in _NEVER_SHOWN}).decode()
