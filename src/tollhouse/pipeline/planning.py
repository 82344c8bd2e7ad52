"""What will be tried for a call, by the house's router: for the call itself, and for its copies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tollhouse.core.identity import Principal
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

    Raises: GatewayError `route_not_found`, or `invalid_request` where nobody can do it.
    """
    return house.router.plan(
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


def _offers(house: House, call: ClientCall, dialect: Dialect, deployment: Deployment) -> bool:
    upstream = house.snapshot.providers[deployment.provider]
    candidate = Candidate(deployment=deployment, model=deployment.model)
    return house.workbench.ways.find(upstream, candidate, call, dialect) is not None
