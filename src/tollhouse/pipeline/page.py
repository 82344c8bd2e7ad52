"""The page: one exchange through the rooms of the house, in order.

    wire in → authenticate → admit → route → translate → dispatch → deliver → account

Accounting runs exactly once, however the call ends. Before the first byte of an answer has left, an error is a status
in the caller's dialect; after it, the dialect's error event inside the stream.
"""

from __future__ import annotations

from collections.abc import Mapping

from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.ids import key_hint, time_ordered_id
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.reply import Reply
from tollhouse.ports.request import Request
from tollhouse.stages.authenticate import KeyRefused, authenticate, presented_key
from tollhouse.stages.deliver import (
    answer_headers,
    deliver_ours,
)
from tollhouse.stages.list_models import Ask as ModelsAsk
from tollhouse.stages.list_models import list_models
from tollhouse.stages.route import priority_of

from .client_tokens import mint_client_token
from .endings import concluded, fail
from .house import Door, House
from .model_call import call_model
from .own_paths import STORED, pass_own_path, stored_response


async def serve(house: House, door: Door, request: Request, reply: Reply) -> None:
    """One exchange, from the head of its request to its row in the book. Raises only CancelledError."""
    passage = _accept(house, door.operation, f"{request.method} {request.path}", request.peer, door.dialect)
    dialect = house.workbench.dialects[door.dialect]
    await concluded(house, dialect, reply, passage, _enter(house, door, dialect, request, reply, passage))


async def _enter(
    house: House, door: Door, dialect: Dialect, request: Request, reply: Reply, passage: Passage
) -> None:
    principal = _identify(house, door, request, passage)
    if (refusal := house.pauses.refusal(key_id=principal.key_id, team=principal.team)) is not None:
        raise refusal
    match door.operation:
        case Operation.LIST_MODELS:
            ask = ModelsAsk(path=request.path, query=request.query, dialect=door.dialect)
            body = await list_models(house.models, principal, ask)
            headers = answer_headers(passage, house.clock)
            deliver_ours(body, reply, headers, passage, house.clock)
        case Operation.SHOW_KEY:
            headers = answer_headers(passage, house.clock)
            deliver_ours(house.admission.standing(principal), reply, headers, passage, house.clock)
        case Operation.MINT_CLIENT_TOKEN:
            house.gate.check(priority_of(request.headers))
            await mint_client_token(house, principal, request, reply, passage)
        case Operation.PASSTHROUGH:
            house.gate.check(priority_of(request.headers))
            await pass_own_path(house, principal, request, reply, passage)
        case operation if operation in STORED:
            house.gate.check(priority_of(request.headers))
            await stored_response(house, door, principal, request, reply, passage)
        case _:
            house.gate.check(priority_of(request.headers))
            await call_model(house, door, principal, dialect, request, reply, passage)


def refuse(house: House, error: GatewayError, reply: Reply, *, door: str, peer: str, dialect: str) -> None:
    """Answer what has no door, and write it down like everything else."""
    passage = _accept(house, Operation.UNKNOWN, door, peer, dialect)
    fail(error, reply, passage, house.workbench.dialects[dialect], house)
    house.accountant.settle(passage, house.admission.prices.of)


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
        principal = authenticate(
            request.headers,
            house.keyring,
            house.clock.now(),
            query,
            operation=door.operation,
            peer=request.peer,
            issuers=house.issuers,
            certificates=house.certificates,
            certificate=request.certificate,
            pages=house.snapshot.server.cors.origins,
        )
    except GatewayError as error:
        key_id = error.key_id if isinstance(error, KeyRefused) else None
        log.note(error.kind.value, key_id, _hint(request.headers, query), request.peer)
        raise
    passage.principal = principal = house.admission.bounded(principal)
    log.note("ok", principal.key_id, "", request.peer)
    return principal


def _hint(headers: Mapping[bytes, bytes], query: str) -> str:
    try:
        return key_hint(presented_key(headers, query)[:512].decode("latin-1"))
    except GatewayError:
        return ""
