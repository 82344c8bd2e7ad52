"""What a call may cost and use is set aside before anything is sent, for everybody who pays for it, or for nobody.

A hard budget is charged with a true bound, see `bounds`; limits with what is likely. Both are corrected when the call
is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.client_token import ClientToken
from tollhouse.core.house_scopes import HouseScopes
from tollhouse.core.identity import Principal
from tollhouse.core.limits import NO_LIMITS, Charge, Counter, CounterKind, OnLow, Scope, Unit
from tollhouse.core.money import cost_nanousd
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Plan, Route
from tollhouse.core.usage import Usage
from tollhouse.limits.charges import Demand, charges_of, unused_of
from tollhouse.limits.client_token_counters import ClientTokenCounters
from tollhouse.limits.counters import ScopeCounters
from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import Counters, CountersUnavailable, Exhausted
from tollhouse.ports.dialect import ClientCall, Dialect

from .asked import Asked, asked, limited
from .beyond import beyond
from .bounds import Bounds
from .permission import check_size
from .prices import Prices
from .refusals import exhausted, price_unknown, too_long, unavailable, uncounted
from .standing import standing

_MOST_SCOPES: Final = 100_000
"""Whose counters are remembered: callers name as many end users as they like."""
_FEWEST_OUTPUT_TOKENS: Final = 16
"""An answer that is clamped to less is of no use to anybody."""
_LARGE_BYTES: Final = 256 * 1024
"""From here on looking through a body would be felt by others."""

Reread = Callable[[bytes], ClientCall]
"""The same call with another body."""


class Admission:
    """Admits the calls of one configuration. The counters outlive it, and so does what the store says of scopes."""

    def __init__(
        self,
        snapshot: Snapshot,
        counters: Counters,
        clock: Clock,
        prices: Prices,
        house_scopes: HouseScopes | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._house_scopes = house_scopes if house_scopes is not None else HouseScopes()
        self._counters = counters
        self._clock = clock
        self.prices = prices
        self._bounds = Bounds(prices)
        self._scopes: dict[str, ScopeCounters] = {}

    async def reserve(
        self,
        principal: Principal,
        dialect: Dialect,
        call: ClientCall,
        plan: Plan,
        passage: Passage,
        reread: Reread,
    ) -> ClientCall:
        """Set aside what the call may use; its lease is in the passage. The call comes back with a lower limit on its
        output where the budget clamps it, or the key does.

        Raises: GatewayError `rate_limited`, `budget_exceeded`, `model_price_unknown`, `limits_unavailable`,
        `invalid_request` where there is no bound, or too much of a body.
        """
        scopes = self.scopes_of(principal, plan.route, passage)
        most = principal.max_output_tokens
        if not scopes and most is None:
            return call
        check_size(scopes, passage.request_bytes)
        ask = await self._asked(dialect.name, call, scopes)
        if most is not None and ask.is_above(most):
            call = reread(limited(dialect.name, call, most))
            ask = replace(ask, output_tokens=most)
        if scopes:
            call = await self._afford(scopes, dialect.name, call, ask, plan.candidates, passage, reread)
        is_limited = ask.generates and (most is not None or _needs_bound(scopes))
        return replace(call, is_limited=True) if is_limited else call

    async def reserve_own_path(
        self,
        principal: Principal,
        route: Route,
        candidate: Candidate,
        passage: Passage,
        *,
        call: ClientCall | None,
        dialect: str,
    ) -> None:
        """The same for a call to a provider's own path; `call` is what it means, None where nobody here knows: then no
        hard budget can pay for it. Raises: GatewayError, as `reserve`."""
        scopes = self.scopes_of(principal, route, passage)
        most = principal.max_output_tokens
        if not scopes and most is None:
            return
        check_size(scopes, passage.request_bytes)
        if call is not None:
            ask = await self._asked(dialect, call, scopes)
            if not self._is_heard(dialect, call, candidate):
                ask = replace(ask, output_tokens=None)
            if most is not None and ask.is_above(most):
                raise too_long(most)
        else:
            if passage.operation is Operation.PASSTHROUGH and _has_hard(scopes):
                raise price_unknown(candidate)
            ask = Asked(
                operation=passage.operation, body_bytes=passage.request_bytes, output_tokens=None, answers=1
            )
        if scopes:
            try:
                await self._charge(scopes, ask, (candidate,), passage)
            except Exhausted as full:
                raise exhausted(full, ask) from full

    def _is_heard(self, dialect: str, call: ClientCall, candidate: Candidate) -> bool:
        """Whether the limit of a call that goes out as it is stands in the word that its provider surely knows."""
        if dialect != "openai_chat":
            return True
        provider = self._snapshot.providers[candidate.deployment.provider].provider
        word = provider.traits_for(candidate.model).output_limit_field
        return word != "max_tokens" or word in call.spans

    async def _asked(self, dialect: str, call: ClientCall, scopes: Sequence[ScopeCounters]) -> Asked:
        """What can be billed beyond the body's bytes is looked for only where a hard budget would have to pay for it.

        Raises: GatewayError `invalid_request`.
        """
        ask = asked(dialect, call)
        if ask.is_free or not _needs_bound(scopes):
            return ask
        if len(call.body) > _LARGE_BYTES:
            return replace(ask, beyond=await asyncio.to_thread(beyond, dialect, call))
        return replace(ask, beyond=beyond(dialect, call))

    async def _afford(
        self,
        scopes: Sequence[ScopeCounters],
        dialect: str,
        call: ClientCall,
        ask: Asked,
        candidates: Sequence[Candidate],
        passage: Passage,
        reread: Reread,
    ) -> ClientCall:
        """The call, charged to everybody; with a shorter answer where that is all that a budget can pay for."""
        clamped: int | None = None
        while True:
            try:
                await self._charge(scopes, ask, candidates, passage)
                break
            except Exhausted as full:
                # Each budget that clamps may have less left than the one before, so that this comes to an end.
                clamped = self._affordable(full, scopes, ask, candidates)
                if clamped is None:
                    raise exhausted(full, ask) from full
                ask = replace(ask, output_tokens=clamped)
        return call if clamped is None else reread(limited(dialect, call, clamped))

    async def _charge(
        self, scopes: Sequence[ScopeCounters], ask: Asked, candidates: Sequence[Candidate], passage: Passage
    ) -> None:
        demand, charges = self._charges(scopes, ask, candidates)
        if not charges:
            return
        try:
            passage.lease = await self._counters.reserve(charges)
        except CountersUnavailable as error:
            raise unavailable() from error
        self._check_era(scopes, passage)
        purses = [charge.counter for charge in charges if _is_money(charge.counter)]
        if purses:
            bound = demand.bound_nanousd or 0
            passage.purses = tuple([purse.id for purse in purses])
            passage.bound_nanousd = passage.reserved_nanousd = bound
            passage.cover = partial(self._cover, passage, purses, ask, candidates)

    def _check_era(self, scopes: Sequence[ScopeCounters], passage: Passage) -> None:
        """Whether what a browser token is limited by is still counted where it was; asked after the charge, because
        that may be what shows it.

        Raises: GatewayError `key_expired`.
        """
        for scope in scopes:
            if isinstance(scope, ClientTokenCounters) and scope.token.is_counted:
                lease = passage.lease
                if scope.token.counted_in != self._counters.era and lease is not None:
                    self._counters.settle(lease, unused_of(lease))
                    passage.lease = None
                    raise uncounted()

    def _charges(
        self, scopes: Sequence[ScopeCounters], ask: Asked, candidates: Sequence[Candidate]
    ) -> tuple[Demand, tuple[Charge, ...]]:
        now = self._clock.now()
        counters = [counter for scope in scopes for counter in scope.at(now)]
        bound: int | None = 0
        if any(_is_money(counter) for counter in counters) and not ask.is_free:
            bound = self._bounds.of(ask, candidates, is_hard=_has_hard(scopes))
        known = candidates[0].deployment.max_output_tokens
        demand = Demand(
            input_tokens=0 if ask.is_free else ask.likely_input_tokens,
            output_tokens=ask.likely_output_tokens(known),
            bound_nanousd=bound,
            bound_tokens=self._bounds.tokens(ask, candidates)
            if any(counter.unit is Unit.TOKENS for counter in counters)
            else None,
        )
        return demand, charges_of(counters, demand)

    async def _cover(
        self,
        passage: Passage,
        purses: Sequence[Counter],
        ask: Asked,
        candidates: Sequence[Candidate],
        added_tokens: int,
    ) -> None:
        """Before an attempt: once more where one before may have to be paid for, and for what the house has added to
        the caller's words.

        Raises: GatewayError `budget_exceeded`, `limits_unavailable`.
        """
        if added_tokens:
            more = replace(ask.beyond, input_tokens=ask.beyond.input_tokens + added_tokens)
            is_hard = any(purse.is_hard for purse in purses)
            bound = self._bounds.of(replace(ask, beyond=more), candidates, is_hard=is_hard)
            passage.bound_nanousd = max(passage.bound_nanousd, bound)
        owed = 1 + sum([attempt.is_estimated for attempt in passage.attempts])
        missing = owed * passage.bound_nanousd - passage.reserved_nanousd
        if passage.lease is None or missing <= 0:
            return
        try:
            await self._counters.extend(passage.lease, [Charge(purse, missing) for purse in purses])
        except Exhausted as full:
            raise exhausted(full, None) from full
        except CountersUnavailable as error:
            raise unavailable() from error
        passage.reserved_nanousd += missing

    def _affordable(
        self, full: Exhausted, scopes: Sequence[ScopeCounters], ask: Asked, candidates: Sequence[Candidate]
    ) -> int | None:
        """How long an answer can still be paid for by the budget that has too little left; None where it does not
        clamp, or not enough is left for a useful one."""
        counter = full.charge.counter
        if counter.kind is not CounterKind.PURSE or not ask.generates:
            return None
        now = self._clock.now()
        budget = next((scope.scope.budget for scope in scopes if counter in scope.at(now)), None)
        if counter.unit is Unit.CALLS:
            return None
        if counter.unit is Unit.NANOUSD and (budget is None or budget.on_low is not OnLow.CLAMP):
            return None

        def is_affordable(tokens: int) -> bool:
            shorter = replace(ask, output_tokens=tokens)
            if counter.unit is Unit.TOKENS:
                return self._bounds.tokens(shorter, candidates) <= full.left.amount
            return self._bounds.of(shorter, candidates, is_hard=counter.is_hard) <= full.left.amount

        fewest, too_many = _FEWEST_OUTPUT_TOKENS, _most_said(ask, candidates)
        if too_many <= fewest or not is_affordable(fewest):
            return None
        while too_many - fewest > 1:
            middle = (fewest + too_many) // 2
            if is_affordable(middle):
                fewest = middle
            else:
                too_many = middle
        return fewest

    def reckon(self, passage: Passage, usage: Usage | None) -> None:
        """What the answer cost that is about to be given, by the price of whoever gave it."""
        if usage is not None:
            price = self.prices.of(passage.attempts[-1].candidate)
            passage.cost_nanousd = cost_nanousd(usage, price) if price is not None else None

    def bounded(self, principal: Principal) -> Principal:
        """The principal as this moment has it: with everybody it belongs to, and the routes they leave it."""
        team = self._snapshot.teams.get(principal.team) if principal.team is not None else None
        return self._house_scopes.bounded(
            principal,
            declares_team=team is not None,
            declared_routes=team.routes if team is not None else None,
        )

    def check_declared(self, principal: Principal, headers: Mapping[bytes, bytes]) -> None:
        """What the head alone shows to be too much for the key or its team need not be waited for.

        Raises: GatewayError `invalid_request`, status 413.
        """
        length = headers.get(b"content-length")
        if length is not None:
            check_size(self._own(principal), int(length))

    def standing(self, principal: Principal) -> bytes:
        """How the key stands, in JSON: its own limits and budget, those of everybody it belongs to, and its tags'."""
        scopes = [*self._own(principal), *self._of_tags(principal.tags)]
        return standing(principal, scopes, self._counters, self._clock.now())

    @property
    def era(self) -> str:
        """Of the counters, see `ports.counters.Counters`."""
        return self._counters.era

    # -- who pays

    def scopes_of(self, principal: Principal, route: Route, passage: Passage) -> list[ScopeCounters]:
        """Everybody whose limits or budget the call is charged to, a browser token first: it is what its page knows."""
        found = self._own(principal)
        if principal.client_token is not None:
            found.insert(0, self._of_token(principal.client_token))
        if route.scope is not None:
            found.append(self._of(route.scope))
        if passage.tags:
            found += self._of_tags(passage.tags)
        each = self._snapshot.end_users
        if passage.end_user is not None and each.is_bounded:
            found.append(self._of(_end_user(each, principal, passage.end_user)))
        return found

    def _own(self, principal: Principal) -> list[ScopeCounters]:
        """The key itself, and everybody it belongs to: its account, project, team and organisation."""
        found: list[ScopeCounters] = []
        if principal.budget is not None or principal.limits != NO_LIMITS:
            found.append(self._of_key(principal))
        if principal.team is not None:
            team = self._snapshot.teams.get(principal.team)
            if team is not None and team.scope.is_bounded:
                found.append(self._of(team.scope))
        found += [self._of(scope) for scope in principal.scopes]
        return found

    def _of_tags(self, tags: Sequence[str]) -> list[ScopeCounters]:
        """Each once, however often a call has it."""
        scopes = [self._snapshot.tags.get(tag) for tag in dict.fromkeys(tags)]
        return [self._of(scope) for scope in scopes if scope is not None and scope.is_bounded]

    def _of_key(self, principal: Principal) -> ScopeCounters:
        known = self._scopes.get(f"key:{principal.key_id}")
        if known is not None:
            scope = known.scope
            if scope.limits is principal.limits and scope.budget is principal.budget:
                return known
        return self._of(
            Scope(
                id=f"key:{principal.key_id}",
                name=principal.key_name,
                limits=principal.limits,
                budget=principal.budget,
            )
        )

    def _of_token(self, token: ClientToken) -> ScopeCounters:
        scope_id = f"client_token:{token.id}"
        known = self._scopes.get(scope_id)
        if not isinstance(known, ClientTokenCounters):
            if len(self._scopes) >= _MOST_SCOPES:
                self._scopes.clear()
            known = self._scopes[scope_id] = ClientTokenCounters(token)
        return known

    def _of(self, scope: Scope) -> ScopeCounters:
        known = self._scopes.get(scope.id)
        if known is None or (known.scope is not scope and known.scope != scope):
            if len(self._scopes) >= _MOST_SCOPES:
                self._scopes.clear()
            known = self._scopes[scope.id] = ScopeCounters(scope)
        return known


def _has_hard(scopes: Sequence[ScopeCounters]) -> bool:
    return any(scope.scope.budget is not None and scope.scope.budget.is_hard for scope in scopes)


def _needs_bound(scopes: Sequence[ScopeCounters]) -> bool:
    return any(scope.needs_bound for scope in scopes)


def _is_money(counter: Counter) -> bool:
    return counter.kind is CounterKind.PURSE and counter.unit is Unit.NANOUSD


def _most_said(ask: Asked, candidates: Sequence[Candidate]) -> int:
    """The longest answer that has been reckoned with."""
    if ask.output_tokens is not None:
        return ask.output_tokens
    return max([candidate.deployment.max_output_tokens or 0 for candidate in candidates])


def _end_user(each: Scope, principal: Principal, name: str) -> Scope:
    """A tenant's own: the same name of another tenant is somebody else."""
    return replace(each, id=f"end_user:{principal.payer}:{name}", name=name)
