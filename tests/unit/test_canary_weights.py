"""A new deployment is tried with a small weight: it gets its share, and when it fails no caller learns of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from tollhouse.core.exchange import Outcome
from tollhouse.core.routing import Timeouts
from tollhouse.pipeline import House, serve
from tollhouse.ports.transport import Answer, Target, UpstreamRequest
from unit.test_pipeline import CHAT, GOOD, FakeAnswer, FakeReply, FakeRequest, World, body

CONFIG = """
version: 1
providers: {up: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}}
routes:
  one-percent:
    strategy: weighted
    deployments: [{provider: up, model: stable, weight: 99}, {provider: up, model: canary, weight: 1}]
  waiting:
    strategy: weighted
    deployments: [{provider: up, model: canary, weight: 0}, {provider: up, model: stable, weight: 1}]
  half:
    strategy: weighted
    deployments: [{provider: up, model: stable, weight: 1}, {provider: up, model: canary, weight: 1}]
"""
SICK = b'{"error": {"message": "sick"}}'


class Trial(World):
    """Upstreams by model; those in `sick` answer with 500."""

    def __init__(self, *sick: str) -> None:
        super().__init__(config=CONFIG)
        self.sick = sick
        self.called: Counter[str] = Counter()
        self.live: House = self.house()

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        model = json.loads(request.body)["model"]
        self.called[model] += 1
        return FakeAnswer([SICK], status=500) if model in self.sick else FakeAnswer([GOOD])

    def calls(self, route: str, count: int) -> None:
        """Each of them answered well."""

        async def main() -> None:
            for _ in range(count):
                reply = FakeReply()
                await serve(self.live, CHAT, FakeRequest(body(model=route)), reply)
                assert (reply.status, reply.out) == (200, GOOD)

        asyncio.run(main())
        assert {row.outcome for row in self.settled} == {Outcome.OK}


def test_canary_of_weight_one_beside_ninety_nine_gets_about_one_percent() -> None:
    trial = Trial()
    trial.calls("one-percent", 3000)
    assert 12 < trial.called["canary"] < 55
    assert trial.called.total() == 3000


def test_canary_of_weight_nothing_gets_nothing_while_others_are_well() -> None:
    trial = Trial()
    trial.calls("waiting", 500)
    assert trial.called == {"stable": 500}


def test_canary_of_weight_nothing_answers_when_nobody_else_does() -> None:
    trial = Trial("stable")
    trial.calls("waiting", 20)
    assert trial.called["canary"] == 20
    assert trial.called["stable"] < 20, "its breaker keeps calls away from it"


def test_canary_that_fails_is_left_alone_and_its_callers_are_answered_by_others() -> None:
    trial = Trial("canary")
    trial.calls("half", 200)
    assert trial.called["canary"] == 5, "as many failures in a row as the breaker takes"
    repeated = [row for row in trial.settled if len(row.attempts) > 1]
    assert len(repeated) == 5
    assert {row.attempts[-1].deployment for row in trial.settled} == {"up/stable"}
