"""How exchanges end: told to the caller, written into the book, exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.passage import Passage
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.reply import CallerGone, Reply
from tollhouse.stages.account import outcome_of
from tollhouse.stages.deliver import (
    error_headers,
)

from .house import House
from .own_paths import UNREAD


async def concluded(
    house: House,
    dialect: Dialect,
    reply: Reply,
    passage: Passage,
    work: Awaitable[None],
    *,
    is_alone: bool = False,
) -> None:
    """The work, its end told to the caller and the book, however it ends. `is_alone` is work that was handed on, whose
    end is its own. Raises only CancelledError."""
    house.presence.enter(passage)
    try:
        await work
        if passage.outcome is Outcome.OPEN and (is_alone or not passage.is_handed_on):
            passage.outcome = Outcome.OK
    except GatewayError as error:
        fail(error, reply, passage, dialect, house)
    except CallerGone:
        passage.outcome = Outcome.CLIENT_GONE
        reply.abort()
    except asyncio.CancelledError:
        if passage.outcome is Outcome.OPEN and (is_alone or not passage.is_handed_on):
            _cut(reply, passage, dialect, house)
        raise
    except Exception as defect:  # noqa: BLE001 - whatever it is, the caller gets an answer and the book its row
        house.report(passage.id, defect)
        fail(_internal(), reply, passage, dialect, house)
    finally:
        if is_alone or not passage.is_handed_on:
            house.presence.leave(passage)
            house.accountant.settle(passage, house.admission.prices.of)


def _cut(reply: Reply, passage: Passage, dialect: Dialect, house: House) -> None:
    """Ended from outside: by the caller who has left, or by the house, which says why."""
    if reply.is_gone:
        passage.outcome = Outcome.CLIENT_GONE
        return
    fail(passage.ended_by or _closing(), reply, passage, dialect, house)
    passage.outcome = Outcome.CUT


def fail(error: GatewayError, reply: Reply, passage: Passage, dialect: Dialect, house: House) -> None:
    """Tell the caller and the book."""
    passage.outcome = outcome_of(error, passage)
    passage.error = error.kind.value
    passage.error_message = error.message
    if reply.is_gone:
        return
    if not reply.is_started:
        body = dialect.error_body(error, passage.id)
        passage.status = error.status
        passage.response_bytes = len(body)
        reply.send(error.status, error_headers(error, passage, house.clock), body)
    elif passage.operation in UNREAD:
        reply.abort()
    else:
        is_first = not passage.response_bytes
        frame = dialect.error_frame(error, passage.id, passage.stream_kind, is_first=is_first)
        (reply.abort if passage.stream_kind.is_cut_after_error else reply.end)(frame)


def _closing() -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        "The gateway is shutting down and could not wait for this call to end.",
        blame=Blame.OPERATOR,
        hint="Send the call again: another gateway, or this one once it is back, will take it.",
        retry_after_s=1.0,
    )


def _internal() -> GatewayError:
    return GatewayError(
        ErrorKind.INTERNAL,
        "The gateway has a defect and could not answer.",
        blame=Blame.GATEWAY,
        hint="Tell the operator the request id; the log has the details under it.",
    )
