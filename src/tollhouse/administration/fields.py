"""What may be written in a request, and what of it is checked besides its type.

A field that is left out is `UNSET`: it keeps its value, or gets that of whoever is bounded beside it. `null` takes the
value away. Anything else that stands in a request is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tollhouse.config.address import parse_network
from tollhouse.config.allowances import Budget, Limits
from tollhouse.config.periods import check_timezone
from tollhouse.config.values import Glob, Name, Tokens
from tollhouse.core.authority import Role
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.hours import parse_window
from tollhouse.core.operation import Operation
from tollhouse.core.pauses import PauseKind

_SEEN: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*$"
"""What neither breaks a line nor does anything to a terminal."""
Title = Annotated[str, Meta(min_length=1, max_length=100, pattern=_SEEN)]
Note = Annotated[str, Meta(max_length=500, pattern=_SEEN)]
Reason = Annotated[str, Meta(min_length=1, max_length=300, pattern=_SEEN)]
Id = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._@-]+$")]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}$")]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64, pattern=_SEEN)], Note], Meta(max_length=50)
]
Routes = Annotated[tuple[Glob, ...], Meta(max_length=1000)]
Doors = Annotated[tuple[Name, ...], Meta(max_length=50)]
Networks = Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=100)]
Hours = Annotated[tuple[Annotated[str, Meta(max_length=150)], ...], Meta(max_length=20)]
Tags = Annotated[tuple[Name, ...], Meta(max_length=50)]
Moment = Annotated[datetime, Meta(tz=True)]
Grace = Annotated[int, Meta(ge=0, le=2_592_000)]


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may say."""


class KeyCreate(Body, frozen=True, kw_only=True):
    """A new virtual key. Who is bounded by a team or an account cannot make one that is bounded less."""

    name: Title
    team: Name | UnsetType = UNSET
    """Where its maker is in one team only, it need not be named."""
    project: Id | UnsetType = UNSET
    account: Id | UnsetType = UNSET
    """The user or service account whose it is; a member's keys are the member's."""
    routes: Routes = ()
    """Globs over route names it may use. Without any it may use none."""
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    doors: Doors | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    hours: Hours | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    max_output_tokens: Tokens | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class KeyChange(Body, frozen=True, kw_only=True):
    """Other values for some fields of a key."""

    name: Title | UnsetType = UNSET
    project: Id | UnsetType | None = UNSET
    routes: Routes | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    doors: Doors | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    hours: Hours | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    max_output_tokens: Tokens | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class KeyRotate(Body, frozen=True, kw_only=True):
    """A new text for a key."""

    grace_s: Grace = 0
    """How long the text before opens as well, in seconds."""


class TeamCreate(Body, frozen=True, kw_only=True):
    """A new team."""

    id: Name
    """Its name in keys and books; never changed."""
    title: Note | UnsetType = UNSET
    routes: Routes | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class TeamChange(Body, frozen=True, kw_only=True):
    """Other values for some fields of a team."""

    title: Note | UnsetType = UNSET
    routes: Routes | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class OrganisationChange(Body, frozen=True, kw_only=True):
    """Other values for some fields of the organisation."""

    title: Note | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class ProjectCreate(TeamChange, frozen=True, kw_only=True):
    """A new project of a team."""

    team: Name


class ProjectChange(TeamChange, frozen=True, kw_only=True):
    """Other values for some fields of a project."""


class UserCreate(Body, frozen=True, kw_only=True):
    """A new person."""

    name: Title
    email: Email | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class UserChange(Body, frozen=True, kw_only=True):
    """Other values for some fields of a person."""

    name: Title | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class ServiceAccountCreate(Body, frozen=True, kw_only=True):
    """A new machine."""

    name: Title
    team: Name | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class ServiceAccountChange(Body, frozen=True, kw_only=True):
    """Other values for some fields of a machine."""

    name: Title | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class AdminKeyCreate(Body, frozen=True, kw_only=True):
    """A new admin key. It opens what its account's roles open."""

    name: Title
    account: Id | UnsetType = UNSET
    """Whose; one's own where it is not named."""
    expires_at: Moment | UnsetType | None = UNSET


class RoleAssignmentCreate(Body, frozen=True, kw_only=True):
    """A role for an account."""

    account: Id
    role: Role
    team: Name | UnsetType = UNSET
    """For team_admin and member."""


class PauseCreate(Body, frozen=True, kw_only=True):
    """Stop everything that goes through something, until it is resumed."""

    kind: PauseKind
    target: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
    reason: Reason
    """Told to callers."""


class ListQuery(Body, frozen=True, kw_only=True):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    after: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    """`next` of the part before."""


class KeyQuery(ListQuery, frozen=True, kw_only=True):
    """Which keys."""

    team: Name | UnsetType = UNSET
    project: Id | UnsetType = UNSET
    account: Id | UnsetType = UNSET
    name: Title | UnsetType = UNSET


class TeamQuery(ListQuery, frozen=True, kw_only=True):
    """Which of the things of teams."""

    team: Name | UnsetType = UNSET


class AccountQuery(ListQuery, frozen=True, kw_only=True):
    """Which of the things of accounts."""

    account: Id | UnsetType = UNSET


class RequestQuery(ListQuery, frozen=True, kw_only=True):
    """Which requests."""

    team: Name | UnsetType = UNSET
    key_id: Id | UnsetType = UNSET
    route: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class UsageQuery(Body, frozen=True, kw_only=True):
    """Which sums."""

    by: Literal["key", "team", "route", "provider", "day"] = "key"
    since: Moment | UnsetType = UNSET


class VerifyQuery(Body, frozen=True, kw_only=True):
    """A head that somebody wrote down earlier, to be compared with."""

    count: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    seal: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | UnsetType = UNSET


def read_body(kind: type[Body] | None, body: bytes) -> Body | None:
    """Raises: GatewayError `invalid_request`, naming the field where it is one's fault."""
    if kind is None:
        if body.strip() not in (b"", b"{}"):
            raise invalid_request("This request takes no body.", hint="Send none, or {}.")
        return None
    try:
        read = msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(error) from None
    _check(read)
    return read


def read_query(kind: type[Body] | None, query: Mapping[str, str]) -> Body | None:
    """Raises: GatewayError `invalid_request`."""
    if kind is None:
        if query:
            raise invalid_request(f"There is no parameter {next(iter(query))[:50]!r} here.")
        return None
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.MsgspecError as error:
        raise _wrong(error) from None


def given(body: Body) -> dict[str, Any]:
    """The fields that stand in a request."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def _wrong(error: Exception) -> GatewayError:
    text, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").lstrip(".") or None
    if "unknown field `" in text:
        param = text.rpartition("unknown field `")[2].rstrip("`")[:100]
    return invalid_request(f"{text[:300]}.", param=param)


def _check(body: Body) -> None:
    values = given(body)
    _each("networks", values.get("networks", ()), parse_network)
    _each("hours", values.get("hours", ()), _check_hours)
    for door in values.get("doors", ()):
        if door not in _DOORS:
            raise invalid_request(
                f"There is no door {door!r}.", param="doors", hint=f"There are {', '.join(_DOORS)}."
            )
    budget = values.get("budget")
    if isinstance(budget, Budget):
        _each("budget.timezone", (budget.timezone,), check_timezone)


_DOORS: Final = tuple(operation.value for operation in Operation if operation is not Operation.UNKNOWN)


def _each(param: str, values: Any, check: Any) -> None:
    for value in values:
        try:
            check(value)
        except ValueError as error:
            raise invalid_request(str(error)[:300], param=param) from None


def _check_hours(text: str) -> None:
    check_timezone(parse_window(text).zone)
