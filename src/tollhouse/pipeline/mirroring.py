"""A share of a route's calls is also made to another route, for the operator to look at.

A copy is an exchange of its own: its own id, plan, attempts and row in the book, marked with the id of the original.
It begins once the original has been planned, in a task of its own. It can delay the original no more than any other
call can, and whatever becomes of it, the caller does not learn of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.ids import time_ordered_id
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Mirror, Plan, Priority, Route
from tollhouse.ports.dialect import ClientCall, Dialect
from tollhouse.ports.reply import Reply
from tollhouse.stages.conversation import Conversation
from tollhouse.stages.mirrors import PRESSURE, STATE, Nobody, Unkept
from tollhouse.stages.route import CLOCKS, PRIORITY
from tollhouse.stages.translate import Workbench

from .endings import concluded
from .house import Door, House
from .planning import planned


class Exchange(Protocol):
    """What is done for a caller from the plan to the last byte."""

    def __call__(
        self,
        house: House,
        door: Door,
        principal: Principal,
        dialect: Dialect,
        call: ClientCall,
        plan: Plan,
        passage: Passage,
        reply: Reply,
        is_wanted: Callable[[], bool],
    ) -> Awaitable[None]: ...


def mirror(
    house: House,
    door: Door,
    principal: Principal,
    dialect: Dialect,
    call: ClientCall,
    route: Route,
    original: Passage,
    conversation: Conversation | None,
    exchange: Exchange,
) -> None:
    """Begin a copy of a call that was planned for `route`, if that has a mirror and chance and bounds allow it.

    `conversation` is what the call refers to, where its API has such a thing; `exchange` what is being done for the
    original. Never waits and never raises.
    """
    to = route.mirror
    if to is None or original.mirrors is not None or house.clock.draw() >= to.share:
        return
    why = _why_not(house, route, to, conversation)
    if why is None:
        house.mirrors.begin(route, _copy(house, door, principal, dialect, call, to, original, exchange))
    else:
        house.mirrors.not_made[to.route, why] += 1


def _why_not(house: House, route: Route, to: Mirror, conversation: Conversation | None) -> str | None:
    if conversation is not None and (conversation.said.has_any or conversation.said.is_background):
        return STATE
    why = house.mirrors.why_not(route, to)
    if why is not None:
        return why
    try:
        house.gate.check(Priority.BATCH)
    except GatewayError:
        return PRESSURE
    return None


async def _copy(
    house: House,
    door: Door,
    principal: Principal,
    dialect: Dialect,
    call: ClientCall,
    to: Mirror,
    original: Passage,
    exchange: Exchange,
) -> None:
    """From the plan to the row in the book. Raises only CancelledError."""
    passage = _passage(house, principal, to, original)
    reply = Nobody()
    forgetful = replace(house, workbench=_forgetful(house.workbench))

    async def work() -> None:
        plan = _plan(house, principal, dialect, call, to, passage)
        # With the call as it came: one that named the mirror's route would go out as it is where the upstream's model
        # has the same name, and so under the name that the caller wrote.
        await exchange(forgetful, door, principal, dialect, call, plan, passage, reply, lambda: True)

    await concluded(house, dialect, reply, passage, work())


def _passage(house: House, principal: Principal, to: Mirror, original: Passage) -> Passage:
    clock = house.clock
    now = clock.now()
    passage = Passage(
        id=time_ordered_id("req_", now, clock.entropy(10)),
        accepted_at=now,
        accepted=clock.monotonic(),
        operation=original.operation,
        door=original.door,
        peer=original.peer,
        config=house.snapshot.hash,
        dialect=original.dialect,
        mirrors=original.id,
    )
    passage.principal = principal
    passage.route = to.route
    passage.model = original.model
    passage.is_stream = original.is_stream
    passage.request_bytes = original.request_bytes
    return passage


def _plan(
    house: House, principal: Principal, dialect: Dialect, call: ClientCall, to: Mirror, passage: Passage
) -> Plan:
    """By the clocks of the mirror's route, whatever the caller's patience: it waits for the original."""
    headers = {name: value for name, value in call.headers.items() if name != CLOCKS}
    headers[PRIORITY] = Priority.BATCH.encode()
    named = replace(call, model=to.route)
    plan = planned(house, principal, dialect, named, headers=headers, accepted=passage.accepted)
    return replace(plan, route=replace(plan.route, heartbeat_after_s=0.0))  # nobody wants a sign of life


def _forgetful(workbench: Workbench) -> Workbench:
    bench = Workbench(workbench.dialects, Unkept(workbench.recall), workbench.fetcher)
    bench.ways = workbench.ways
    return bench
