"""From a model's public name to what will be tried, in which order, and until when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Deployment, Plan, RetryPolicy, Route, Strategy


def plan_route(
    snapshot: Snapshot,
    principal: Principal,
    model: str,
    *,
    offers: Callable[[Deployment], bool],
    operation: Operation,
    draw: float,
    accepted: float,
) -> Plan:
    """The plan for one call.

    `offers` tells whether a deployment can do what is asked at all; `draw` is in [0, 1); `accepted` the monotonic
    time at which patience began. Raises: GatewayError `route_not_found`, or `invalid_request` where nobody can do it.
    """
    found = snapshot.find(model)
    if found is None:
        raise _not_found(model, [name for name in snapshot.routes if principal.may_use(name)])
    route, star = found
    able = [deployment for deployment in route.deployments if offers(deployment)]
    if not able and operation is Operation.COUNT_TOKENS:
        raise _nobody_counts(route.name)
    if not able:
        raise invalid_request(
            f"No deployment of {route.name!r} offers what this door asks for.",
            param="model",
            hint="Use another door for this model, or another model at this door.",
        )
    return Plan(
        route=route,
        candidates=tuple([_candidate(d, star) for d in order(able, route.strategy, draw)]),
        deadline=accepted + route.timeouts.total_s,
    )


def order(deployments: Sequence[Deployment], strategy: Strategy, draw: float) -> Sequence[Deployment]:
    """The deployments in the order they are to be tried."""
    if strategy is Strategy.ORDERED or len(deployments) == 1:
        return deployments
    return _weighted(deployments, draw)


def _weighted(deployments: Sequence[Deployment], draw: float) -> Sequence[Deployment]:
    """The first by weight; the others follow in the order of the file, so that a plan can be foretold."""
    mark = draw * sum(deployment.weight for deployment in deployments)
    for index, deployment in enumerate(deployments):
        mark -= deployment.weight
        if mark < 0:
            return [deployment, *deployments[:index], *deployments[index + 1 :]]
    return deployments  # pragma: no cover - rounding at the very edge


def _candidate(deployment: Deployment, star: str | None) -> Candidate:
    model = star if deployment.model == "*" and star is not None else deployment.model
    return Candidate(deployment=deployment, model=model)


def passthrough_route(scope: str, provider: str) -> tuple[Candidate, Route]:
    """The route of a provider's own paths: one deployment, one attempt."""
    deployment = Deployment(id=scope, provider=provider, model="*")
    route = Route(name=scope, deployments=(deployment,), retry=RetryPolicy(max_attempts=1))
    return Candidate(deployment=deployment, model="*"), route


def _nobody_counts(name: str) -> GatewayError:
    """Clients that count before they send take 404 for an answer, and a wrong number for the truth."""
    return GatewayError(
        ErrorKind.ROUTE_NOT_FOUND,
        f"No deployment of {name!r} counts tokens.",
        blame=Blame.CLIENT,
        param="model",
        hint="Go without the count: the answer to the call itself reports what was used.",
    )


def _not_found(model: str, usable: list[str]) -> GatewayError:
    near = get_close_matches(model, usable, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "GET /v1/models lists what this key may use."
    return GatewayError(
        ErrorKind.ROUTE_NOT_FOUND,
        f"There is no route named {model[:200]!r}.",
        blame=Blame.CLIENT,
        param="model",
        hint=hint,
    )
