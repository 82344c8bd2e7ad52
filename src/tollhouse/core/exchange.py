"""The one row every sink receives, and the shorter notes the journal holds until that row is known."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .operation import Operation
from .usage import Usage


class Outcome(StrEnum):
    """How an exchange, or one attempt of it, ended."""

    OK = "ok"
    DENIED = "denied"
    """Refused by the house before anything was sent."""
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"
    CUT = "cut"
    """Ended before it was done: because the process did, or because its key had been stopped meanwhile."""
    OPEN = "open"
    """Begun and not yet settled."""
    INTERNAL = "internal"
    """A defect of the house."""


class Caller(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asked, as far as it was known."""

    key_id: str | None = None
    key_name: str | None = None
    team: str | None = None
    peer: str = ""
    """The address the connection came from."""


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One upstream call that was begun."""

    number: int
    """1 for the first."""
    deployment: str
    provider: str
    model: str
    at: float
    """When its intent was written; seconds since the epoch, UTC."""
    outcome: Outcome = Outcome.OPEN
    status: int | None = None
    """What the upstream answered; None if it never did."""
    error: str | None = None
    duration_s: float | None = None
    is_estimated: bool = False
    """True where nobody knows whether the upstream did the work (the call was lost after it was sent)."""


class ExchangeRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One client call and its answer. Unknown is None, never 0."""

    id: str
    """The request id the caller saw; sorts by time."""
    at: float
    """When it was accepted; seconds since the epoch, UTC."""
    operation: Operation
    door: str = ""
    """Method and path as the caller wrote them, without the query, at most 200 characters."""
    caller: Caller = Caller()
    route: str | None = None
    deployment: str | None = None
    provider: str | None = None
    model: str | None = None
    """What the caller named, at most 200 characters."""
    is_stream: bool = False
    outcome: Outcome = Outcome.OPEN
    status: int | None = None
    """The HTTP status the caller got; None if none went out."""
    error: str | None = None
    """The stable code, or None."""
    error_message: str | None = None
    """For the operator: at most 500 characters, secrets removed."""
    attempts: tuple[AttemptRecord, ...] = ()
    usage: Usage | None = None
    cost_nanousd: int | None = None
    finish_reason: str | None = None
    duration_s: float | None = None
    first_byte_s: float | None = None
    """From accepting to the first byte of the answer's body."""
    upstream_s: float | None = None
    """Time spent waiting for upstreams; the rest of the duration is ours and the client's."""
    request_bytes: int = 0
    response_bytes: int = 0
    config: str = ""
    """Hash of the snapshot that decided."""
    dropped: tuple[str, ...] = ()
    """What of the request the upstream was not told, in the caller's words."""
    mirrors: str | None = None
    """The id of the exchange this one is a copy of, made to another route for the operator: nobody got its answer."""
    replays: str | None = None
    """The id of the exchange whose recorded answer the caller got, because both came with one idempotency key."""
    end_user: str | None = None
    """Whom the caller named as its own user, at most 200 characters."""
    tags: tuple[str, ...] = ()
    """The key's and the caller's."""
    purses: tuple[str, ...] = ()
    """The budget counters it is charged to."""
    charged_nanousd: int | None = None
    """What each of them is charged: while the exchange is open, the most it can cost; in the end its cost, or where
    that is not known what had been reserved. None where no budget is concerned."""


class AttemptIntent(msgspec.Struct, frozen=True, kw_only=True, tag="intent"):
    """Written before the first upstream byte: this attempt of this exchange is about to cost money.

    Carries the exchange as known so far, so that a row can be made of it if nothing else is ever written.
    """

    exchange: ExchangeRecord
    attempt: AttemptRecord


class Settlement(msgspec.Struct, frozen=True, kw_only=True, tag="settle"):
    """Written once, however the exchange ended: the whole row."""

    exchange: ExchangeRecord


class AuthEvent(msgspec.Struct, frozen=True, kw_only=True, tag="auth"):
    """Attempts to authenticate that were alike, counted: one line of the authentication log.

    `outcome` is `ok` or the stable code of the refusal; `hint` shows enough of the credential to recognise it.
    """

    at: float
    """The latest of them; seconds since the epoch, UTC."""
    outcome: str
    key_id: str | None
    hint: str
    peer: str
    count: int = 1


JournalEntry = AttemptIntent | Settlement | AuthEvent
