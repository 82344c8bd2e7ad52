"""What will be tried for a call, by the house's router: for the call itself, and for its copies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from msgspec.structs import replace

from tollhouse.core.identity import Principal
from tollhouse.core.pauses import Pauses
from tollhouse.core.routing import Candidate, Deployment, Plan
from tollhouse.ports.dialect import ClientCall, Dialect
from tollhouse.stages.translate.way import has_tools

from .house import House


def planned(
    house: House,
    principal: Principal,
    dialect: Dialect,
    call: ClientCall,
    *,
    headers: Mapping[bytes, bytes],
    accepted: float,
) -> Plan:
    """The plan for a call to `call.model`; `accepted` is the monotonic time at which patience began.

    Raises: GatewayError `route_not_found`, `invalid_request` where nobody can do it, or `overloaded` where the operator
    has paused everybody who can.
    """
    plan = house.router.plan(
        principal,
        call,
        dialect.name,
        has_tools=has_tools(call),
        offers=partial(_offers, house, call, dialect),
        headers=headers,
        accepted=accepted,
        now=house.clock.monotonic(),
        draw=house.clock.draw,
    )
    return _without_paused(house.pauses, plan) if house.pauses else plan


def _without_paused(pauses: Pauses, plan: Plan) -> Plan:
    """The plan without what the operator has paused. Raises: GatewayError where nothing is left."""
    refusal = pauses.refusal(route=plan.route.name)
    if refusal is not None:
        raise refusal
    kept = []
    for candidate in plan.candidates:
        deployment = candidate.deployment
        found = pauses.refusal(route=candidate.route, provider=deployment.provider, deployment=deployment.id)
        if found is None:
            kept.append(candidate)
        refusal = refusal or found
    if not kept:
        assert refusal is not None
        raise refusal
    return replace(plan, candidates=tuple(kept))


def _offers(house: House, call: ClientCall, dialect: Dialect, deployment: Deployment) -> bool:
    upstream = house.snapshot.providers[deployment.provider]
    candidate = Candidate(deployment=deployment, model=deployment.model)
    return house.workbench.ways.find(upstream, candidate, call, dialect) is not None
