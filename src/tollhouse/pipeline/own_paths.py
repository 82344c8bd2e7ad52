"""Calls to what providers have under paths of their own: passed through, or about answers they keep."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from msgspec.structs import replace

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Route
from tollhouse.ports.meter import Meter
from tollhouse.ports.opened import Whole
from tollhouse.ports.reply import Reply
from tollhouse.ports.request import Request
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.stages.admit import admit, passthrough_scope, tags_of
from tollhouse.stages.conversation import (
    DIALECT as RESPONSES,
)
from tollhouse.stages.conversation import (
    Doing,
    Made,
    Memory,
    answer_of,
    asked,
    foreign_provider,
    not_found,
)
from tollhouse.stages.deliver import (
    answer_headers,
    deliver_live,
    deliver_ours,
    deliver_whole,
)
from tollhouse.stages.route import passthrough_route
from tollhouse.stages.translate import meter_of, pass_through
from tollhouse.stages.translate.way import path_of

from .house import Door, House

STORED: Final = frozenset(
    [
        Operation.RETRIEVE_RESPONSE,
        Operation.DELETE_RESPONSE,
        Operation.CANCEL_RESPONSE,
        Operation.LIST_INPUT_ITEMS,
    ]
)
"""What is done with earlier answers of the Responses API."""
UNREAD: Final = STORED | {Operation.PASSTHROUGH}
"""Whose answers nobody looks into: no event can be added to what may be no stream."""
STATE: Final = b"x-tollhouse-responses-state"
_BELOW: Final = {Operation.CANCEL_RESPONSE: "/cancel", Operation.LIST_INPUT_ITEMS: "/input_items"}
"""Where it is done, below the answer's own path."""


async def pass_own_path(
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
    if (refusal := house.pauses.refusal(provider=provider)) is not None:
        raise refusal
    house.admission.check_declared(principal, request.headers)
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
        candidate = replace(candidate, model=meter.call.model)
    passage.tags = tags_of(principal.tags, request.headers)
    await house.admission.reserve_own_path(
        principal,
        route,
        candidate,
        passage,
        call=meter.call if meter is not None else None,
        dialect=meter.dialect if meter is not None else "",
    )
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


async def stored_response(
    house: House, door: Door, principal: Principal, request: Request, reply: Reply, passage: Passage
) -> None:
    """An earlier answer of this tenant's, by whoever keeps it."""
    assert door.response is not None
    house.admission.check_declared(principal, request.headers)
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
        headers = [*answer_headers(passage, house.clock), (STATE, b"emulated")]
        deliver_ours(document, reply, headers, passage, house.clock)
        return
    candidate, route = _keeper_of(house, principal, doing, made)
    passage.route = made.route if made is not None else None
    upstream = house.snapshot.providers[candidate.deployment.provider]
    passage.tags = principal.tags
    await house.admission.reserve_own_path(principal, route, candidate, passage, call=None, dialect="")
    path, query = _below(upstream, candidate, f"/{door.response}{_BELOW.get(door.operation, '')}")
    query = "&".join([part for part in (query, *asked(request.query)) if part])
    upstream_request = pass_through(request.method, path, query, request.headers, body, upstream)
    is_done = await _pass_on(house, candidate, route, upstream_request, reply, passage, (STATE, b"native"))
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
