"""The page: one exchange through the rooms of the house, in order.

    wire in → authenticate → admit → route → translate → dispatch → deliver → account

Accounting runs exactly once, however the call ends. Before the first byte of an answer has left, an error is a status
in the caller's dialect; after it, the dialect's error event inside the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import unquote

import msgspec

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.identity import Principal
from tollhouse.core.ids import key_hint, time_ordered_id
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Deployment
from tollhouse.ports.clock import Clock
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.opened import Whole
from tollhouse.ports.reply import CallerTooSlow, Reply
from tollhouse.ports.request import Request
from tollhouse.ports.translation import Scene
from tollhouse.stages.account import Accountant, outcome_of
from tollhouse.stages.admit import admit, passthrough_scope
from tollhouse.stages.authenticate import Keyring, authenticate, presented_key
from tollhouse.stages.deliver import answer_headers, deliver_live, deliver_ours, deliver_whole, error_headers
from tollhouse.stages.dispatch import Dispatcher
from tollhouse.stages.list_models import list_models
from tollhouse.stages.route import passthrough_route, plan_route
from tollhouse.stages.translate import Translator, Workshop, find_way, header_text, pass_through


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

    @property
    def takes_key_in_query(self) -> bool:
        """Google's oldest clients send it as `?key=`."""
        return self.dialect.startswith("gemini_")


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an exchange meets on its way. Built once by bootstrap."""

    snapshot: Snapshot
    workshop: Workshop
    keyring: Keyring
    dispatcher: Dispatcher
    accountant: Accountant
    clock: Clock
    report: Callable[[str, BaseException], None]
    """Told of defects of the house, with the request id: they are ours to mend, never the caller's to read."""


async def serve(house: House, door: Door, request: Request, reply: Reply) -> None:
    """One exchange, from the head of its request to its row in the book. Raises only CancelledError."""
    passage = _accept(house, door.operation, f"{request.method} {request.path}", request.peer)
    dialect = house.workshop.dialects[door.dialect]
    try:
        principal = _identify(house, door, request, passage)
        match door.operation:
            case Operation.LIST_MODELS:
                body = list_models(house.snapshot, principal, request.path)
                headers = answer_headers(passage, house.clock)
                deliver_ours(body, reply, headers, passage, house.clock)
            case Operation.PASSTHROUGH:
                await _pass_through(house, principal, request, reply, passage)
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
    passage = _accept(house, Operation.UNKNOWN, door, peer)
    _fail(error, reply, passage, house.workshop.dialects[dialect], house)
    house.accountant.settle(passage)


def _accept(house: House, operation: Operation, door: str, peer: str) -> Passage:
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
    call = dialect.read(_ask(door, request, body))
    passage.model = call.model
    passage.is_stream = call.is_stream

    admit(principal, call.model)
    plan = plan_route(
        house.snapshot,
        principal,
        call.model,
        offers=partial(_offers, house, call, dialect),
        draw=house.clock.draw(),
        accepted=passage.accepted,
    )
    passage.route = plan.route.name

    translator = Translator(
        house.workshop,
        call,
        dialect,
        tenant=principal.tenant,
        mode=plan.route.unknown_parameters,
        scene=Scene(id=passage.id.partition("_")[2], now=int(passage.accepted_at), model=call.model),
        verb=door.verb,
    )
    answer = await house.dispatcher.call(plan, call, passage, translator.cross)
    headers = answer_headers(passage, house.clock)
    if passage.dropped:
        headers.append((b"x-tollhouse-dropped", header_text(passage.dropped)))
    if isinstance(answer, Whole):
        deliver_whole(answer, reply, headers, passage, house.clock)
    else:
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await deliver_live(answer, reply, headers, passage, house.clock)


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
    return find_way(upstream, candidate, call.operation, dialect, house.workshop.dialects) is not None


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
    answer = await house.dispatcher.pass_on(
        candidate, upstream_request, passage, route.timeouts, passage.accepted + route.timeouts.total_s
    )
    headers = answer_headers(passage, house.clock)
    if isinstance(answer, Whole):
        deliver_whole(answer, reply, headers, passage, house.clock)
        passage.outcome = Outcome.UPSTREAM_ERROR
    else:
        await deliver_live(answer, reply, headers, passage, house.clock)


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
    elif passage.operation is Operation.PASSTHROUGH:
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
