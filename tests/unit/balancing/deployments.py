"""Deployments and standings for the tests of this folder, in few words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tollhouse.balancing import Choice, Permit, Standing, Standings, Verdict
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker, Deployment, Strategy
from tollhouse.testing import FakeClock

CHAT = Operation.CHAT


def deployment(
    name: str,
    *,
    weight: int = 1,
    max_concurrency: int | None = None,
    model: str = "m",
    dialect: str | None = None,
) -> Deployment:
    return Deployment(
        id=f"{name}/{model}",
        provider=name,
        model=model,
        weight=weight,
        max_concurrency=max_concurrency,
        dialect=dialect,
    )


def standing_alone(*, breaker: Breaker | None = None, max_concurrency: int | None = None) -> Standing:
    """A deployment that is the only one of its route."""
    one = deployment("solo", max_concurrency=max_concurrency)
    standings = Standings()
    standings.configure({"solo": breaker or Breaker()}, {"route": [one]})
    return standings.of(one, "m")


def begin(standing: Standing, now: float, *, kind: Operation = CHAT, is_repeat: bool = False) -> Permit:
    permit = standing.try_begin(kind, now, is_repeat=is_repeat)
    assert isinstance(permit, Permit), permit
    return permit


def call(
    standing: Standing,
    verdict: Verdict,
    now: float,
    *,
    times: int = 1,
    kind: Operation = CHAT,
    retry_after_s: float | None = None,
) -> None:
    """Calls that begin and end at once."""
    for _ in range(times):
        begin(standing, now, kind=kind).end(verdict, now, retry_after_s)


def break_open(standing: Standing, now: float, *, kind: Operation = CHAT) -> None:
    while standing.refusal(kind, now) is None:
        call(standing, Verdict.BAD, now, kind=kind)


class House:
    """Some deployments of one route with their standings, and the orders in which they are chosen."""

    def __init__(self, deployments: Sequence[Deployment], strategy: Strategy, *, seed: bytes = b"") -> None:
        self.deployments = {deployment.provider: deployment for deployment in deployments}
        self.clock = FakeClock(seed=seed)
        self.standings = Standings()
        self.standings.configure({}, {"route": deployments})
        self.choice = Choice(deployments, strategy)

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def __getitem__(self, name: str) -> Standing:
        return self.standings.of(self.deployments[name], self.deployments[name].model)

    def order(
        self, *, session: bytes | None = None, draw: Callable[[], float] | None = None, most: int = 16
    ) -> list[str]:
        """The names, best first."""
        order = self.choice.order(
            standing=lambda one: self.standings.of(one, one.model),
            kind=CHAT,
            now=self.now,
            draw=draw or self.clock.draw,
            session=session,
            most=most,
        )
        return [one.provider for one in order]

    def occupy(self, name: str, calls: int) -> list[Permit]:
        return [begin(self[name], self.now) for _ in range(calls)]

    def shut(self, *names: str, for_s: float = 60.0) -> None:
        """Rate limited."""
        for name in names:
            call(self[name], Verdict.LIMITED, self.now, retry_after_s=for_s)
