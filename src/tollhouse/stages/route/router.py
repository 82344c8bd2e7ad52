"""From a model's public name to what will be tried, in which order, and until when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from tollhouse.balancing import Choice, Standing, Standings, blended_price
from tollhouse.catalog import facts_of
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Cause, Deployment, Plan, Priority, RetryPolicy, Route, Strategy
from tollhouse.ports.dialect import ClientCall

from .clocks import HEADER as CLOCKS_HEADER
from .clocks import moved_clocks
from .session import session_of

CLOCKS: Final = CLOCKS_HEADER.encode()
PRIORITY: Final = b"x-tollhouse-priority"
_NO_CAUSES: Final[Mapping[str, frozenset[Cause]]] = MappingProxyType({})


_Kind = tuple[str, Operation, str, bool]
"""A route, and what is asked of it: in which wire API, with tools or without."""


class Router:
    """Makes the plans of one snapshot. `standings` outlive it: what is known of a deployment is no configuration."""

    def __init__(self, snapshot: Snapshot, standings: Standings) -> None:
        self._snapshot = snapshot
        self._standings = standings
        self._choices: dict[_Kind, Choice | None] = {}

    def plan(
        self,
        principal: Principal,
        call: ClientCall,
        dialect: str,
        *,
        has_tools: bool,
        offers: Callable[[Deployment], bool],
        headers: Mapping[bytes, bytes],
        accepted: float,
        now: float,
        draw: Callable[[], float],
    ) -> Plan:
        """The plan for one call.

        `dialect` is the caller's; `offers` tells whether a deployment can do what is asked at all; `accepted` is the
        monotonic time at which patience began, `now` the present one; `draw` gives numbers in [0, 1).
        Raises: GatewayError `route_not_found`, or `invalid_request` where nobody can do it.
        """
        route, star = self._find(principal, call.model)
        timeouts = moved_clocks(route, headers.get(CLOCKS))
        selection = _Selection(self, call, dialect, has_tools, offers, now, draw)
        if route.strategy is Strategy.STICKY:
            selection.session = session_of(call, headers, principal.tenant)
        candidates = selection.of(route, star)
        if not candidates and call.operation is Operation.COUNT_TOKENS:
            raise _nobody_counts(route.name)
        if not candidates:
            raise invalid_request(
                f"No deployment of {route.name!r} offers what this door asks for.",
                param="model",
                hint="Use another door for this model, or another model at this door.",
            )
        for fallback in route.fallbacks:
            taken = {_identity(candidate) for candidate in candidates}
            others = selection.of(fallback.route, fallback.star or star, after=fallback.after)
            candidates += tuple([other for other in others if _identity(other) not in taken])
        return Plan(
            route=route,
            candidates=candidates,
            deadline=accepted + timeouts.total_s,
            timeouts=timeouts,
            priority=priority_of(headers),
        )

    def _find(self, principal: Principal, model: str) -> tuple[Route, str | None]:
        found = self._snapshot.find(model)
        if found is None:
            raise _not_found(model, [name for name in self._snapshot.routes if principal.may_use(name)])
        return found

    def choice(self, route: Route, kind: _Kind, offers: Callable[[Deployment], bool]) -> Choice | None:
        """Who of a route's deployments can do this, ready to be chosen from; None where nobody can."""
        try:
            return self._choices[kind]
        except KeyError:
            able = [deployment for deployment in route.deployments if offers(deployment)]
            choice = Choice(able, route.strategy, cost_of=self._cost_of) if able else None
            self._choices[kind] = choice
            return choice

    def _cost_of(self, deployment: Deployment) -> float | None:
        """By the operator's price, else by the table of models."""
        if deployment.price is None:
            kind = self._snapshot.providers[deployment.provider].provider.kind
            deployment = replace(deployment, price=facts_of(kind, deployment.model).price)
        return blended_price(deployment)

    def standing(self, deployment: Deployment, model: str) -> Standing:
        return self._standings.of(deployment, model)


class _Selection:
    """The candidates of one call, route by route."""

    __slots__ = ("_call", "_dialect", "_draw", "_has_tools", "_now", "_offers", "_router", "session")

    def __init__(
        self,
        router: Router,
        call: ClientCall,
        dialect: str,
        has_tools: bool,  # noqa: FBT001 - positional like the rest of what makes a kind
        offers: Callable[[Deployment], bool],
        now: float,
        draw: Callable[[], float],
    ) -> None:
        self._router = router
        self._call = call
        self._dialect = dialect
        self._has_tools = has_tools
        self._offers = offers
        self._now = now
        self._draw = draw
        self.session: bytes | None = None

    def of(
        self, route: Route, star: str | None, after: Mapping[str, frozenset[Cause]] = _NO_CAUSES
    ) -> tuple[Candidate, ...]:
        """Those of one route, in the order to be tried."""
        operation = self._call.operation
        kind = (route.name, operation, self._dialect, self._has_tools)
        choice = self._router.choice(route, kind, self._offers)
        if choice is None:
            return ()
        deployments = choice.order(
            standing=lambda deployment: self._router.standing(deployment, _model(deployment, star)),
            kind=operation,
            now=self._now,
            draw=self._draw,
            session=self.session,
        )
        name = route.name
        return tuple(
            [
                Candidate(deployment=deployment, model=_model(deployment, star), route=name, after=after)
                for deployment in deployments
            ]
        )


def _model(deployment: Deployment, star: str | None) -> str:
    return star if deployment.model == "*" and star is not None else deployment.model


def _identity(candidate: Candidate) -> tuple[str, str, str | None]:
    return candidate.deployment.provider, candidate.model, candidate.deployment.dialect


def priority_of(headers: Mapping[bytes, bytes]) -> Priority:
    """The class of a call by `x-tollhouse-priority`. Raises: GatewayError `invalid_request` for another word."""
    word = headers.get(PRIORITY)
    if word is None:
        return Priority.INTERACTIVE
    try:
        return Priority(word.decode("latin-1").strip().lower())
    except ValueError:
        raise invalid_request(
            f"The header {PRIORITY.decode()} knows no such class.",
            param=PRIORITY.decode(),
            hint=f"Write one of {', '.join(Priority)}.",
        ) from None


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
