"""A call to a model by its public name: planned, made, and given to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from tollhouse.config.snapshot import Upstream
from tollhouse.core.identity import Principal
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, OnDisconnect, Plan, Route
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.opened import Whole
from tollhouse.ports.reply import CallerGone, HeaderList, Reply
from tollhouse.ports.request import Request
from tollhouse.ports.translation import Scene
from tollhouse.stages.admit import admit, end_user_of, tags_of
from tollhouse.stages.conversation import (
    DIALECT as RESPONSES,
)
from tollhouse.stages.conversation import (
    Conversation,
    Memory,
    open_conversation,
)
from tollhouse.stages.deliver import (
    UNBUFFERED,
    answer_headers,
    deliver_live,
    deliver_whole,
    early_headers,
)
from tollhouse.stages.detach import Detachable
from tollhouse.stages.pulse import Pulse
from tollhouse.stages.replay import Elsewhere, fingerprint, key_of
from tollhouse.stages.translate import Translator, header_text
from tollhouse.stages.translate.aside import aside

from .endings import concluded
from .house import Door, House
from .mirroring import mirror
from .own_paths import STATE
from .planning import planned

_LARGE_BYTES: Final = 256 * 1024
"""From here on hashing a body would be felt by others."""


async def call_model(
    house: House,
    door: Door,
    principal: Principal,
    dialect: Dialect,
    request: Request,
    reply: Reply,
    passage: Passage,
) -> None:
    house.admission.check_declared(principal, request.headers)
    body = await request.body()
    passage.request_bytes = len(body)
    call = await aside(body, dialect.read, _ask(door, request, body))
    passage.model = call.model
    passage.is_stream = call.is_stream

    if principal.client_token is None:
        passage.tags = tags_of(principal.tags, request.headers)
        passage.end_user = end_user_of(dialect.name, call, request.headers)
    else:  # a page does not choose who pays
        passage.tags = principal.tags
        passage.end_user = principal.client_token.end_user

    admit(principal, call.model)
    plan = planned(house, principal, dialect, call, headers=request.headers, accepted=passage.accepted)
    passage.route = plan.route.name
    exchange = partial(_exchange, house, door, principal, dialect, call, plan, passage)
    key = key_of(request.headers)
    if key is not None:
        mark = await _mark(request, door, body)
        beat = dialect.stream_kind(call).heartbeat if call.is_stream else b""
        beat_after_s = plan.route.heartbeat_after_s if call.is_stream else 0.0
        elsewhere = partial(Elsewhere, beat=beat, beat_after_s=beat_after_s)
        await _once(house, dialect, principal.tenant, key, mark, exchange, elsewhere, reply, passage)
    elif plan.route.on_disconnect is OnDisconnect.DRAIN:
        detachable = Detachable(reply)
        work = concluded(house, dialect, detachable, passage, _drained(exchange, detachable), is_alone=True)
        await _hand_on(house, reply, passage, house.detached.run(work, detachable, outlives=True))
    else:
        await exchange(reply, lambda: not reply.is_gone)


async def _hand_on(house: House, reply: Reply, passage: Passage, run: Awaitable[None]) -> None:
    """From here on the exchange runs and settles by itself, whatever becomes of its caller."""
    passage.is_handed_on = True
    try:
        await run
    except CallerGone:
        reply.abort()
    except Exception as defect:  # noqa: BLE001 - told to the operator, like every defect
        house.report(passage.id, defect)
        reply.abort()


async def _drained(
    exchange: Callable[[Reply, Callable[[], bool]], Awaitable[None]], detachable: Detachable
) -> None:
    """The whole exchange, also without its caller. Raises: CallerGone at the end, where it was left by then."""
    await exchange(detachable, lambda: not (detachable.is_let_go or detachable.is_gone))
    if not detachable.is_delivered:
        raise CallerGone


async def _mark(request: Request, door: Door, body: bytes) -> bytes:
    """What tells this request from others under the same idempotency key."""
    parts = (request.method, request.path, request.query, door.dialect, body)
    if len(body) > _LARGE_BYTES:
        return await asyncio.to_thread(fingerprint, *parts)
    return fingerprint(*parts)


async def _once(
    house: House,
    dialect: Dialect,
    tenant: str,
    key: str,
    mark: bytes,
    exchange: Callable[[Reply, Callable[[], bool]], Awaitable[None]],
    elsewhere: Callable[..., Elsewhere],
    reply: Reply,
    passage: Passage,
) -> None:
    """One upstream call for all requests with this key: the first has it made, all are given what was recorded."""
    tape, is_first = house.replays.claim(tenant, key, mark)
    if not is_first:
        passage.replays = tape.exchange_id
        await tape.play(reply, is_repeat=True)
        passage.status = tape.status
        passage.outcome = tape.outcome
        return
    tape.exchange_id = passage.id
    others: Elsewhere | None = None
    if house.shared_answers is not None:
        others = elsewhere(
            house.shared_answers, tape, tenant=tenant, key=key, fingerprint=mark, exchange_id=passage.id
        )

    async def made() -> None:
        if others is not None and await others.has_answered(house.clock.monotonic):
            passage.replays = tape.exchange_id
            passage.status = tape.status
            passage.outcome = tape.outcome
        else:
            await exchange(tape, lambda: not tape.is_gone)

    async def work() -> None:
        try:
            await concluded(house, dialect, tape, passage, made(), is_alone=True)
        finally:
            if passage.replays is None:
                tape.outcome = passage.outcome
                if not passage.has_reached_an_upstream:
                    house.replays.forget(tenant, key, tape)
                elif passage.ended_by is not None:
                    tape.pass_on()  # that one key was revoked is no answer for its team
                if others is not None:
                    others.settle(has_reached_an_upstream=passage.has_reached_an_upstream)

    run = house.detached.run(tape.record(work()), tape, outlives=True, meanwhile=tape.play(reply))
    await _hand_on(house, reply, passage, run)


async def _exchange(
    house: House,
    door: Door,
    principal: Principal,
    dialect: Dialect,
    call: ClientCall,
    plan: Plan,
    passage: Passage,
    reply: Reply,
    is_wanted: Callable[[], bool],
) -> None:
    """From the plan to the last byte. Once `is_wanted` says no, nothing more is begun."""
    conversation: Conversation | None = None
    if dialect.name == RESPONSES:
        conversation = _conversation(house, principal, dialect, call, plan)
        plan = conversation.plan
    if passage.mirrors is None:  # a copy is made for the operator, and nobody else pays for it
        whole = call if conversation is None else conversation.call  # with the history that will be sent
        reread = partial(_reread, door, dialect, call)
        admitted = await house.admission.reserve(principal, dialect, whole, plan, passage, reread)
        if conversation is not None:
            conversation = replace(conversation, call=admitted)
        if whole is call:
            call = admitted
    translator = partial(_translator, house, door, principal, dialect, plan.route, passage)
    if conversation is None:
        cross = translator(call).cross
    else:
        cross = partial(_cross, conversation, translator, translator(conversation.call))
    if plan.route.mirror is not None:
        mirror(house, door, principal, dialect, call, plan.route, passage, conversation, _exchange)
    if not call.is_stream:
        answer = await house.dispatcher.call(plan, call, passage, cross, is_wanted)
        assert isinstance(answer, Whole)
        house.admission.reckon(passage, answer.reading.usage)
        deliver_whole(answer, reply, _headers(house, conversation, passage), passage, house.clock)
        return
    passage.stream_kind = dialect.stream_kind(call)
    pulse = Pulse(
        reply,
        passage,
        after_s=plan.route.heartbeat_after_s,
        on_start=lambda: (200, early_headers(passage)),
    )
    pulse.begin()
    try:
        answer = await house.dispatcher.call(plan, call, passage, cross, is_wanted)
        assert not isinstance(answer, Whole)
        headers = [*_headers(house, conversation, passage), *UNBUFFERED]
        await deliver_live(answer, reply, headers, passage, house.clock)
    finally:
        pulse.stop()


def _headers(house: House, conversation: Conversation | None, passage: Passage) -> HeaderList:
    headers = answer_headers(passage, house.clock)
    if passage.dropped:
        headers.append((b"x-tollhouse-dropped", header_text(passage.dropped)))
    state = conversation.state_of(passage.attempts[-1].candidate) if conversation is not None else None
    if state is not None:
        headers.append((STATE, state.encode()))
    return headers


def _translator(
    house: House,
    door: Door,
    principal: Principal,
    dialect: Dialect,
    route: Route,
    passage: Passage,
    call: ClientCall,
) -> Translator:
    return Translator(
        house.workbench,
        call,
        dialect,
        tenant=principal.tenant,
        mode=route.unknown_parameters,
        scene=Scene(id=passage.id.partition("_")[2], now=int(passage.accepted_at), model=call.model),
        verb=door.verb,
    )


def _conversation(
    house: House, principal: Principal, dialect: Dialect, call: ClientCall, plan: Plan
) -> Conversation:
    def is_native(candidate: Candidate) -> bool:
        upstream = house.snapshot.providers[candidate.deployment.provider]
        way = house.workbench.ways.find(upstream, candidate, call, dialect)
        return way is not None and way.is_straight

    return open_conversation(
        call,
        plan,
        dialect=dialect,
        memory=Memory(house.workbench.recall, principal.tenant),
        providers=house.snapshot.providers,
        is_native=is_native,
        may_use=principal.may_use,
    )


async def _cross(
    conversation: Conversation,
    translator: Callable[[ClientCall], Translator],
    usual: Translator,
    candidate: Candidate,
    upstream: Upstream,
) -> Crossing:
    """The way to one candidate, who may be told less than the others, with its answer remembered."""
    call = conversation.call_for(candidate)
    mine = usual if call is conversation.call else translator(call)
    return conversation.watched(candidate, await mine.cross(candidate, upstream))


def _reread(door: Door, dialect: Dialect, call: ClientCall, body: bytes) -> ClientCall:
    """The same call with another body."""
    return dialect.read(
        Ask(
            operation=door.operation,
            body=body,
            path_model=door.model,
            path_stream=door.is_stream,
            query=call.query,
            headers=call.headers,
        )
    )


def _ask(door: Door, request: Request, body: bytes) -> Ask:
    return Ask(
        operation=door.operation,
        body=body,
        path_model=door.model,
        path_stream=door.is_stream,
        query=request.query,
        headers=request.headers,
    )
