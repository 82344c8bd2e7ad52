"""The strategies: which of many deployments are worth a look, and which of the usable ones is tried first.

Positions are those of the deployments with a weight above 0. With sixteen deployments or fewer a strategy looks at all
of them. Of a thousand it looks at a dozen: the best of a few random ones is nearly as good as the best of all (the
power of two choices), and not all callers run to the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from tollhouse.core.routing import Deployment

from .ring import Ring
from .shares import Shares
from .survey import Seen, Survey

_REDRAWS: Final = 8
_EXPLORED: Final = 1 / 16
"""The share of calls that try a deployment whose latency is not known."""
_ABOVE_MEAN: Final = 1.25
_CALLS_ABOVE_MEAN: Final = 2


class Ranking(Protocol):
    """What a strategy decides."""

    def best(self, survey: Survey, most: int) -> list[Seen]:
        """The usable ones of at most `most`, in the order to be tried."""

    def rank(self, seen: list[Seen], survey: Survey) -> list[Seen]:
        """The same for usable ones that were found elsewhere."""


class InOrder:
    """As they stand: in the file, or by cost."""

    def __init__(self, size: int) -> None:
        self._size = size

    def best(self, survey: Survey, most: int) -> list[Seen]:
        return survey.see(range(min(self._size, most)))

    def rank(self, seen: list[Seen], survey: Survey) -> list[Seen]:  # noqa: ARG002 - a Ranking
        return sorted(seen, key=_position)


class ByWeight:
    """The first by chance, in proportion to the weights; the others as they stand, beginning behind it where there
    are many. Where the first is shut, chance decides again in the same proportion among those that are not."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    def best(self, survey: Survey, most: int) -> list[Seen]:
        size = len(self._shares.weights)
        first, left = self._shares.pick(survey.draw())
        if size <= most:
            seen = survey.see([first, *range(first), *range(first + 1, size)])
            return seen if not seen or seen[0][0] == first else self._redrawn(seen, left)
        seen = survey.see([position % size for position in range(first, first + most)])
        return seen if seen and seen[0][0] == first else self._redrawn_of_many(seen, survey)

    def rank(self, seen: list[Seen], survey: Survey) -> list[Seen]:  # noqa: ARG002 - a Ranking
        return seen

    def _redrawn(self, seen: list[Seen], left: float) -> list[Seen]:
        weights = self._shares.weights
        mark = left * sum([weights[position] for position, _ in seen])
        for place, (position, _) in enumerate(seen):
            mark -= weights[position]
            if mark < 0:
                return _moved_to_front(seen, place)
        return seen  # rounding at the very edge

    def _redrawn_of_many(self, seen: list[Seen], survey: Survey) -> list[Seen]:
        """Draw until one is usable: the same proportion, without looking at all."""
        places = {position: place for place, (position, _) in enumerate(seen)}
        shut = {position for _, position in survey.shut}
        for _ in range(_REDRAWS):
            position, _ = self._shares.pick(survey.draw())
            if position in places:
                return _moved_to_front(seen, places[position])
            if position in shut:
                continue
            found = survey.see((position,))
            if found:
                return found + seen
            shut.add(position)
        return seen


class ByLoad:
    """The fewest calls in flight for the weight; chance by weight among equals."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    def best(self, survey: Survey, most: int) -> list[Seen]:
        return self.rank(survey.see(self._shares.sample(survey.draw(), most)), survey)

    def rank(self, seen: list[Seen], survey: Survey) -> list[Seen]:  # noqa: ARG002 - a Ranking
        weights = self._shares.weights
        loads = [standing.in_flight / weights[position] for position, standing in seen]
        # Among equals the order of the sample stays, which is chance by weight.
        return [seen[place] for place in sorted(range(len(seen)), key=loads.__getitem__)]


class ByLatency:
    """The shortest latency times calls in flight, this one included.

    Where it is not known it is found out, but not by everybody: one call in sixteen goes to a deployment nothing was
    heard of in the last minute, and only while no other call is under way there. Until then those stand behind the
    known ones. Where nothing is known of any, the load decides.
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._by_load = ByLoad(shares)

    def best(self, survey: Survey, most: int) -> list[Seen]:
        return self.rank(survey.see(self._shares.sample(survey.draw(), most)), survey)

    def rank(self, seen: list[Seen], survey: Survey) -> list[Seen]:
        kind, now = survey.kind, survey.now
        known: list[Seen] = []
        unknown: list[Seen] = []
        waits_s: list[float] = []
        for one in seen:
            standing = one[1]
            latency_s = standing.latency_s(kind, now)
            if latency_s is None:
                unknown.append(one)
            else:
                known.append(one)
                waits_s.append(latency_s * (standing.in_flight + 1))
        ranked = [known[place] for place in sorted(range(len(known)), key=waits_s.__getitem__)]
        if not unknown:
            return ranked
        unknown = self._by_load.rank(unknown, survey)
        if ranked and not unknown[0][1].in_flight and survey.draw() < _EXPLORED:
            return [unknown[0], *ranked, *unknown[1:]]
        return ranked + unknown


class BySession:
    """The session's own, found on a ring of hashes, then those that follow there.

    Bounded loads: one that has both a quarter and two calls more in flight than its weight's part of the mean stands
    behind those that have not. A call without a session goes to the least busy.
    """

    def __init__(self, deployments: Sequence[Deployment], shares: Shares) -> None:
        self._ids = [deployment.id for deployment in deployments]
        self._shares = shares
        self._by_load = ByLoad(shares)
        self._ring: Ring | None = None

    def best(self, survey: Survey, most: int) -> list[Seen]:
        if survey.session is None:
            return self._by_load.best(survey, most)
        if self._ring is None:
            self._ring = Ring(self._ids, self._shares.weights)
        return self._bounded(survey.see(self._ring.walk(survey.session, most)))

    def rank(self, seen: list[Seen], survey: Survey) -> list[Seen]:  # noqa: ARG002 - a Ranking
        return seen

    def _bounded(self, seen: list[Seen]) -> list[Seen]:
        if not seen or seen[0][1].in_flight < _CALLS_ABOVE_MEAN:
            return seen
        in_flight = [standing.in_flight for _, standing in seen]
        weights = self._shares.weights
        mean = sum(in_flight) / sum([weights[position] for position, _ in seen])
        calm: list[Seen] = []
        busy: list[Seen] = []
        for one, calls in zip(seen, in_flight, strict=True):
            part = mean * weights[one[0]]
            is_busy = calls > _ABOVE_MEAN * part and calls >= part + _CALLS_ABOVE_MEAN
            (busy if is_busy else calm).append(one)
        return calm + busy


def _position(one: Seen) -> int:
    return one[0]


def _moved_to_front(seen: list[Seen], place: int) -> list[Seen]:
    return [seen[place], *seen[:place], *seen[place + 1 :]]
