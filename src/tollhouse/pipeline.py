"""The page: one exchange through the rooms of the house, in order.

    wire in → authenticate → admit → route → translate → dispatch → deliver → account

Accounting runs exactly once, however the call ends. Before the first byte of an answer has left, an error is a status
in the caller's dialect; after it, the dialect's error event inside the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote

import msgspec

from tollhouse.config.snapshot import Snapshot, Upstream
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.identity import Principal
from tollhouse.core.ids import key_hint, time_ordered_id
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Deployment, Plan, Route
from tollhouse.ports.clock import Clock
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.meter import Meter
from tollhouse.ports.opened import Whole
from tollhouse.ports.reply import CallerTooSlow, Reply
from tollhouse.ports.request import Request
from tollhouse.ports.translation import Scene
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.stages.account import Accountant, outcome_of
from tollhouse.stages.admit import admit, passthrough_scope
from tollhouse.stages.authenticate import Keyring, authenticate, presented_key
from tollhouse.stages.conversation import (
    DIALECT as RESPONSES,
)
from tollhouse.stages.conversation import (
    Conversation,
    Doing,
    Made,
    Memory,
    answer_of,
    asked,
    foreign_provider,
    not_found,
    open_conversation,
)
from tollhouse.stages.deliver import answer_headers, deliver_live, deliver_ours, deliver_whole, error_headers
from tollhouse.stages.dispatch import Dispatcher
from tollhouse.stages.list_models import Ask as ModelsAsk
from tollhouse.stages.list_models import ModelBook, list_models
from tollhouse.stages.route import passthrough_route, plan_route
from tollhouse.stages.translate import Translator, Workbench, header_text, meter_of, pass_through
from tollhouse.stages.translate.aside import aside
from tollhouse.stages.translate.way import path_of

_STORED: Final = frozenset(
    [
        Operation.RETRIEVE_RESPONSE,
        Operation.DELETE_RESPONSE,
        Operation.CANCEL_RESPONSE,
        Operation.LIST_INPUT_ITEMS,
    ]
)
"""What is done with earlier answers of the Responses API."""
_UNREAD: Final = _STORED | {Operation.PASSTHROUGH}
"""Whose answers nobody looks into: no event can be added to what may be no stream."""
_STATE: Final = b"x-tollhouse-responses-state"
_BELOW: Final = {Operation.CANCEL_RESPONSE: "/cancel", Operation.LIST_INPUT_ITEMS: "/input_items"}
"""Where it is done, below the answer's own path."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """One path of the public contract: what is asked there, and in which wire API."""

    operation: Operation
    dialect: str
    model: str | None = None
    """What the path names, decoded."""
    verb: str | None = None
    """What the path asks for, where its last word does; such as `streamGenerateContent`."""
    is_stream: bool | None = None
    """Whether a stream is wanted, where the path decides."""
    response: str | None = None
    """The earlier response the path names, still percent-encoded."""

    @property
    def takes_key_in_query(self) -> bool:
        """Google's oldest clients send it as `?key=`."""
        return self.dialect.startswith("gemini_")


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an exchange meets on its way. Built once by bootstrap."""

    snapshot: Snapshot
    workbench: Workbench
    models: ModelBook
    keyring: Keyring
    dispatcher: Dispatcher
    accountant: Accountant
    clock: Clock
    report: Callable[[str, BaseException], None]
    """Told of defects of the house, with the request id: they are ours to mend, never the caller's to read."""


async def serve(house: House, door: Door, request: Request, reply: Reply) -> None:
    """One exchange, from the head of its request to its row in the book. Raises only CancelledError."""
    passage = _accept(house, door.operation, f"{request.method} {request.path}", request.peer, door.dialect)
    dialect = house.workbench.dialects[door.dialect]
    try:
        principal = _identify(house, door, request, passage)
        match door.operation:
            case Operation.LIST_MODELS:
                ask = ModelsAsk(path=request.path, query=request.query, dialect=door.dialect)
                body = await list_models(house.models, principal, ask)
                headers = answer_headers(passage, house.clock)
                deliver_ours(body, reply, headers, passage, house.clock)
            case Operation.PASSTHROUGH:
                await _pass_through(house, principal, request, reply, passage)
            case operation if operation in _STORED:
                await _stored_response(house, door, principal, request, reply, passage)
            case _:
                await _call_model(house, door, principal, dialect, request, reply, passage)
        if passage.outcome is Outcome.OPEN:
            passage.outcome = Outcome.OK
    except GatewayError as error:
        _fail(error, reply, passage, dialect, house)
    except CallerTooSlow:
        passage.outcome = Outcome.CLIENT_GONE
        reply.abort()
    except asyncio.CancelledError:
        if passage.outcome is Outcome.OPEN:
            passage.outcome = Outcome.CLIENT_GONE if reply.is_gone else Outcome.CUT
        raise
    except Exception as defect:  # noqa: BLE001 - whatever it is, the caller gets an answer and the book its row
        house.report(passage.id, defect)
        _fail(_internal(), reply, passage, dialect, house)
    finally:
        house.accountant.settle(passage)


def refuse(house: House, error: GatewayError, reply: Reply, *, door: str, peer: str, dialect: str) -> None:
    """Answer what has no door, and write it down like everything else."""
    passage = _accept(house, Operation.UNKNOWN, door, peer, dialect)
    _fail(error, reply, passage, house.workbench.dialects[dialect], house)
    house.accountant.settle(passage)


def _accept(house: House, operation: Operation, door: str, peer: str, dialect: str) -> Passage:
    clock = house.clock
    now = clock.now()
    return Passage(
        id=time_ordered_id("req_", now, clock.entropy(10)),
        accepted_at=now,
        accepted=clock.monotonic(),
        operation=operation,
        door=door,
        peer=peer,
        config=house.snapshot.hash,
        dialect=dialect,
    )


def _identify(house: House, door: Door, request: Request, passage: Passage) -> Principal:
    log = house.accountant.authentication_log
    query = request.query if door.takes_key_in_query else ""
    try:
        principal = authenticate(request.headers, house.keyring, house.clock.now(), query)
    except GatewayError as error:
        log.note(error.kind.value, None, _hint(request.headers, query), request.peer)
        raise
    passage.principal = principal
    log.note("ok", principal.key_id, "", request.peer)
    return principal


def _hint(headers: Mapping[bytes, bytes], query: str) -> str:
    try:
        return key_hint(presented_key(headers, query)[:512].decode("latin-1"))
    except GatewayError:
        return ""


async def _call_model(
    house: House,
    door: Door,
    principal: Principal,
    dialect: Dialect,
    request: Request,
    reply: Reply,
    passage: Passage,
) -> None:
    body = await request.body()
    passage.request_bytes = len(body)
    call = await aside(body, dialect.read, _ask(door, request, body))
    passage.model = call.model
    passage.is_stream = call.is_stream

    admit(principal, call.model)
    plan = plan_route(
        house.snapshot,
        principal,
        call.model,
        offers=partial(_offers, house, call, dialect),
        operation=call.operation,
        draw=house.clock.draw(),
        accepted=passage.accepted,
    )
    passage.route = plan.route.name

    translator = partial(_translator, house, door, principal, dialect, plan.route, passage)
    conversation: Conversation | None = None
    cross = translator(call).cross
    if dialect.name == RESPONSES:
        conversation = _conversation(house, principal, dialect, call, plan)
        plan = conversation.plan
        cross = partial(_cross, conversation, translator, translator(conversation.call))
    answer = await house.dispatcher.call(plan, call, passage, cross)
    headers = answer_headers(passage, house.clock)
    if passage.dropped:
        headers.append((b"x-tollhouse-dropped", header_text(passage.dropped)))
    state = conversation.state_of(passage.attempts[-1].candidate) if conversation is not None else None
    if state is not None:
        headers.append((_STATE, state.encode()))
    if isinstance(answer, Whole):
        deliver_whole(answer, reply, headers, passage, house.clock)
    else:
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await deliver_live(answer, reply, headers, passage, house.clock)


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


def _ask(door: Door, request: Request, body: bytes) -> Ask:
    return Ask(
        operation=door.operation,
        body=body,
        path_model=door.model,
        path_stream=door.is_stream,
        query=request.query,
        headers=request.headers,
    )


def _offers(house: House, call: ClientCall, dialect: Dialect, deployment: Deployment) -> bool:
    upstream = house.snapshot.providers[deployment.provider]
    candidate = Candidate(deployment=deployment, model=deployment.model)
    return house.workbench.ways.find(upstream, candidate, call, dialect) is not None


async def _pass_through(
    house: House, principal: Principal, request: Request, reply: Reply, passage: Passage
) -> None:
    _, _, rest = request.path.removeprefix("/").partition("/")
    provider, _, path = rest.partition("/")
    provider = unquote(provider)
    admit(principal, passthrough_scope(provider))
    binding = house.dispatcher.binding(provider)
    if binding is None:
        raise GatewayError(
            ErrorKind.ROUTE_NOT_FOUND,
            f"There is no provider named {provider[:200]!r}.",
            blame=Blame.CLIENT,
            hint="The path is /passthrough/{provider}/{the provider's own path}.",
        )
    body = await request.body()
    passage.request_bytes = len(body)
    candidate, route = passthrough_route(passthrough_scope(provider), provider)
    passage.route = route.name
    upstream_request = pass_through(
        request.method, path, request.query, request.headers, body, binding.upstream
    )
    meter = meter_of(
        request.method, path, request.query, request.headers, body, binding.upstream, house.workbench.dialects
    )
    if meter is not None:
        passage.model = meter.call.model
        passage.is_stream = meter.call.is_stream
    await _pass_on(house, candidate, route, upstream_request, reply, passage, meter=meter)


async def _pass_on(
    house: House,
    candidate: Candidate,
    route: Route,
    upstream_request: UpstreamRequest,
    reply: Reply,
    passage: Passage,
    *more: tuple[bytes, bytes],
    meter: Meter | None = None,
) -> bool:
    """Whether the upstream did what it was asked."""
    answer = await house.dispatcher.pass_on(
        candidate,
        upstream_request,
        passage,
        route.timeouts,
        passage.accepted + route.timeouts.total_s,
        meter,
    )
    headers = [*answer_headers(passage, house.clock), *more]
    if isinstance(answer, Whole):
        deliver_whole(answer, reply, headers, passage, house.clock)
        passage.outcome = Outcome.UPSTREAM_ERROR
        return False
    await deliver_live(answer, reply, headers, passage, house.clock)
    return True


async def _stored_response(
    house: House, door: Door, principal: Principal, request: Request, reply: Reply, passage: Passage
) -> None:
    """An earlier answer of this tenant's, by whoever keeps it."""
    assert door.response is not None
    body = await request.body()
    passage.request_bytes = len(body)
    doing = Doing(operation=door.operation, response_id=unquote(door.response), query=request.query)
    memory = Memory(house.workbench.recall, principal.tenant)
    made = memory.response(doing.response_id)
    if memory.is_anothers(doing.response_id) if made is None else not principal.may_use(made.route):
        raise not_found(doing.response_id, None)
    if made is not None and made.kept_in is not None:
        passage.route = made.route
        document = answer_of(doing, memory)
        headers = [*answer_headers(passage, house.clock), (_STATE, b"emulated")]
        deliver_ours(document, reply, headers, passage, house.clock)
        return
    candidate, route = _keeper_of(house, principal, doing, made)
    passage.route = made.route if made is not None else None
    upstream = house.snapshot.providers[candidate.deployment.provider]
    path, query = _below(upstream, candidate, f"/{door.response}{_BELOW.get(door.operation, '')}")
    query = "&".join([part for part in (query, *asked(request.query)) if part])
    upstream_request = pass_through(request.method, path, query, request.headers, body, upstream)
    is_done = await _pass_on(house, candidate, route, upstream_request, reply, passage, (_STATE, b"native"))
    if is_done and door.operation is Operation.DELETE_RESPONSE:
        memory.forget(doing.response_id)


def _keeper_of(
    house: House, principal: Principal, doing: Doing, made: Made | None
) -> tuple[Candidate, Route]:
    """Who is asked about an answer the house does not keep. Raises: GatewayError `route_not_found`."""
    if made is None:
        provider = foreign_provider(house.snapshot, RESPONSES, principal.may_use)
        if provider is None:
            raise not_found(doing.response_id, None)
        return passthrough_route(f"{provider}/responses", provider)
    candidate, route = passthrough_route(made.deployment, made.provider)
    known = house.snapshot.routes.get(made.route)
    return candidate, known if known is not None else route


def _below(upstream: Upstream, candidate: Candidate, path: str) -> tuple[str, str]:
    """A path below the one where answers are made, as one below the base URL; and the query that belongs there."""
    endpoint = upstream.provider.endpoint(Operation.CHAT, RESPONSES)
    assert endpoint is not None, "answers were made there"
    target = path_of(upstream, endpoint, candidate.model, is_stream=False, verb=None).decode("ascii")
    own, _, query = target.removeprefix(upstream.base_path).removeprefix("/").partition("?")
    return own + path, query


def _fail(error: GatewayError, reply: Reply, passage: Passage, dialect: Dialect, house: House) -> None:
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
    elif passage.operation in _UNREAD:
        reply.abort()
    else:
        reply.end(dialect.error_frame(error, passage.id))


def _internal() -> GatewayError:
    return GatewayError(
        ErrorKind.INTERNAL,
        "The gateway has a defect and could not answer.",
        blame=Blame.GATEWAY,
        hint="Tell the operator the request id; the log has the details under it.",
    )
