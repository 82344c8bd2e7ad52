"""The order in which the deployments of a route are tried for one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd, isnan
from typing import Final

from tollhouse.core.operation import Operation
from tollhouse.core.routing import Deployment, Strategy

from .shares import Shares
from .standing import Standing
from .strategies import ByLatency, ByLoad, BySession, ByWeight, InOrder, Ranking
from .survey import Seen, Survey

FEW: Final = 16
"""So many are all looked at for each call."""
_SAMPLE: Final = 12
"""Of more than that so many are looked at, and named."""
_ENOUGH: Final = 4
"""Usable ones, with which nobody goes and looks for more."""
_SWEPT: Final = 64
_SWEPT_AT_ONCE: Final = 8
_REMEMBERED: Final = 8
_GOLDEN: Final = 0.618
_INPUT_PARTS: Final = 3


def blended_price(deployment: Deployment) -> float | None:
    """Nano-USD per million tokens by the deployment's own price, three of input to one of output; None unknown."""
    price = deployment.price
    if price is None or price.input_per_million_nanousd is None or price.output_per_million_nanousd is None:
        return None
    spent = _INPUT_PARTS * price.input_per_million_nanousd + price.output_per_million_nanousd
    return spent / (_INPUT_PARTS + 1)


class Choice:
    """What calls of one kind to one route can choose from. Compiled once; an order costs the same for ten
    deployments and for a thousand."""

    __slots__ = ("_cursor", "_deployments", "_found", "_ranking", "_size", "_stride")

    def __init__(
        self,
        deployments: Sequence[Deployment],
        strategy: Strategy,
        *,
        cost_of: Callable[[Deployment], float | None] = blended_price,
    ) -> None:
        """`cost_of` is asked once for each deployment, and only by `lowest_cost`; None is not known."""
        preferred = [deployment for deployment in deployments if deployment.weight > 0]
        reserve = [deployment for deployment in deployments if deployment.weight <= 0]
        if not preferred:
            preferred, reserve = reserve, []
        if strategy is Strategy.LOWEST_COST:
            preferred, reserve = _by_cost(preferred, cost_of), _by_cost(reserve, cost_of)
        self._deployments = (*preferred, *reserve)
        self._size = len(preferred)
        self._ranking = _ranking_of(preferred, strategy)
        self._stride = _coprime_near(int(self._size * _GOLDEN), self._size)
        self._cursor = 0
        self._found: list[int] = []
        """Positions that were usable of late, found where the strategy itself does not look."""

    def order(
        self,
        *,
        standing: Callable[[Deployment], Standing],
        kind: Operation,
        now: float,
        draw: Callable[[], float],
        session: bytes | None,
        most: int = FEW,
    ) -> tuple[Deployment, ...]:
        """The deployments to try, best first, at most `most`.

        Those of weight 0 come behind the others; those that can take no call come last, the soonest to recover first.
        With sixteen or fewer all are named, of more only a dozen. `draw` gives numbers in [0, 1); `session` is what
        `sticky` goes by.
        """
        deployments = self._deployments
        if len(deployments) < 2:
            return deployments
        survey = Survey(deployments, standing, kind, now, draw, session)
        looks = FEW if len(deployments) <= FEW else _SAMPLE
        usable = self._ranking.best(survey, looks)
        if len(usable) < _ENOUGH and self._size > looks:
            usable = self._ranking.rank(usable + self._elsewhere(usable, survey), survey)
        lacking = looks - len(usable)
        if lacking > 0 and len(deployments) > self._size:
            usable += survey.see(range(self._size, min(len(deployments), self._size + lacking)))
        named = [deployments[position] for position, _ in usable[:most]]
        if len(named) < most and survey.shut:
            survey.shut.sort(key=_until)
            named += [deployments[position] for _, position in survey.shut[: most - len(named)]]
        return tuple(named)

    def _elsewhere(self, usable: list[Seen], survey: Survey) -> list[Seen]:
        """Nearly all that were looked at are shut: what was found usable before, and else a part of all the others.

        Each call in need looks at another part, so that after a few of them nothing is overlooked.
        """
        looked_at = {position for position, _ in usable}
        looked_at.update([position for _, position in survey.shut])
        remembered = [position for position in self._found if position not in looked_at]
        looked_at.update(remembered)
        found = survey.see(remembered)
        for _ in range(_SWEPT // _SWEPT_AT_ONCE):
            if len(usable) + len(found) >= _ENOUGH:
                break
            part = [position for position in self._next_part() if position not in looked_at]
            looked_at.update(part)
            found += survey.see(part)
        self._found = [position for position, _ in found[-_REMEMBERED:]]
        return found

    def _next_part(self) -> list[int]:
        size, stride, cursor = self._size, self._stride, self._cursor
        self._cursor = (cursor + _SWEPT_AT_ONCE * stride) % size
        return [(cursor + step * stride) % size for step in range(_SWEPT_AT_ONCE)]


def _ranking_of(preferred: Sequence[Deployment], strategy: Strategy) -> Ranking:
    if not preferred or strategy in (Strategy.ORDERED, Strategy.LOWEST_COST):
        return InOrder(len(preferred))
    shares = Shares([max(1, deployment.weight) for deployment in preferred])
    match strategy:
        case Strategy.WEIGHTED:
            return ByWeight(shares)
        case Strategy.LEAST_BUSY:
            return ByLoad(shares)
        case Strategy.LOWEST_LATENCY:
            return ByLatency(shares)
        case Strategy.STICKY:
            return BySession(preferred, shares)


def _by_cost(
    deployments: Sequence[Deployment], cost_of: Callable[[Deployment], float | None]
) -> list[Deployment]:
    """The cheapest first; those whose cost nobody knows last, for unknown is not nothing."""
    costs = [cost_of(deployment) for deployment in deployments]
    ranks = [(cost is None or isnan(cost), cost or 0.0, place) for place, cost in enumerate(costs)]
    return [deployments[place] for _, _, place in sorted(ranks)]


def _coprime_near(wanted: int, size: int) -> int:
    """A step near `wanted` that reaches every one of `size` positions."""
    step = max(1, wanted)
    while gcd(step, size) != 1:
        step += 1
    return step


def _until(shut: tuple[float, int]) -> float:
    return shut[0]
