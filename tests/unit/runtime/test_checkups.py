"""Providers are looked at in time, one check at a time each, and none waits for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from tollhouse.balancing import Refusal, Standings
from tollhouse.config.health import HealthCheck
from tollhouse.core.errors import ErrorKind
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Deployment, Timeouts
from tollhouse.ports.transport import Origin, Phase, TransportError, UpstreamRequest
from tollhouse.runtime.checkups import MOST_AT_ONCE, Checkups, Subject

REFUSED = TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, "No connection.")
BUSY = TransportError(ErrorKind.OVERLOADED, Phase.NOT_SENT, "All connections are busy.")
SOON = HealthCheck(path="/health", every_s=0.02, timeout_s=0.5)
SELDOM = HealthCheck(path="/health", every_s=0.2, timeout_s=0.5)


class Place:
    """A target: who is called."""

    origin = Origin("http", "127.0.0.1", 9)

    def __init__(self, name: str) -> None:
        self.name = name


class Answer:
    headers = ()

    def __init__(self, status: int) -> None:
        self.status = status
        self.is_closed = False

    def hurry(self) -> None:
        """Everything is read as fast as it comes."""

    def expect(self, kind: ErrorKind, at: float) -> None:
        raise AssertionError("nobody reads it")

    async def read(self) -> bytes:
        raise AssertionError("nobody reads it")

    def close(self) -> None:
        self.is_closed = True


class Network:
    """Answers as it is told: by a status, by an error, or never."""

    def __init__(self) -> None:
        self.says: dict[str, int | Exception | None] = {}
        """By the name of the place; 200 unless told, None never answers."""
        self.asked: list[tuple[str, UpstreamRequest | None, Timeouts, float]] = []
        self.begun: list[float] = []
        self.answers: list[Answer] = []
        self.under_way: list[str] = []
        self.most_under_way = 0
        self.cut = 0

    async def _say(self, place: Any, request: UpstreamRequest | None, clocks: Timeouts, until: float) -> int:
        assert place.name not in self.under_way, "two checks of one provider at once"
        self.asked.append((place.name, request, clocks, until - time.monotonic()))
        self.begun.append(time.monotonic())
        self.under_way.append(place.name)
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        try:
            word = self.says.get(place.name, 200)
            if word is None:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.under_way.remove(place.name)
        if isinstance(word, Exception):
            raise word
        assert word is not None
        return word

    async def open(
        self, target: Any, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        answer = Answer(await self._say(target, request, timeouts, deadline))
        self.answers.append(answer)
        return answer

    async def try_connection(self, target: Any, timeouts: Timeouts, deadline: float) -> None:
        await self._say(target, None, timeouts, deadline)

    def bind(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("targets are bound elsewhere")

    async def close(self) -> None:
        raise AssertionError("it is not ours to close")

    def count(self, name: str) -> int:
        return [asked[0] for asked in self.asked].count(name)


class Clock:
    """The loop's time; chance gives always the same."""

    def __init__(self, drawn: float = 0.0) -> None:
        self._drawn = drawn
        self.monotonic = time.monotonic

    def now(self) -> float:
        raise AssertionError("the wall clock says nothing here")

    def entropy(self, size: int) -> bytes:
        raise AssertionError(f"who wants {size} bytes?")

    def draw(self) -> float:
        return self._drawn


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    warning = error = info


class Bench:
    def __init__(self, drawn: float = 0.0) -> None:
        self.network = Network()
        self.standings = Standings()
        self.log = Log()
        self.defects: list[BaseException] = []
        self.checkups = Checkups(self.network, self.standings, Clock(drawn), self.log, self.defects.append)

    def is_left_alone(self, account: str) -> bool:
        one = Deployment(id=f"{account}/m", provider=account, model="m")
        refusal = self.standings.of(one, "m").refusal(Operation.CHAT, time.monotonic())
        return isinstance(refusal, Refusal)

    def counted(self, name: str) -> dict[str, float]:
        return {outcome: count for (of, outcome), count in self.checkups.counts() if of == name}


def subject(name: str, check: HealthCheck = SOON, *accounts: str) -> Subject:
    return Subject(target=Place(name), check=check, accounts=accounts or (name,))


def run(test: Callable[[Bench], Awaitable[None]], *, drawn: float = 0.0) -> Bench:
    """Nothing may be left at the end."""

    async def inside() -> Bench:
        bench = Bench(drawn)
        try:
            await test(bench)
        finally:
            await bench.checkups.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert bench.network.under_way == []
        return bench

    return asyncio.run(inside())


async def until(what: Callable[[], bool], patience_s: float = 10.0) -> None:
    async with asyncio.timeout(patience_s):
        while not what():
            await asyncio.sleep(0.002)


def test_path_is_asked_for_without_any_header_or_body_and_the_answer_is_not_read() -> None:
    async def test(bench: Bench) -> None:
        bench.checkups.follow({"p": subject("p")})
        await until(lambda: bench.counted("p")["well"] >= 2)

    bench = run(test)
    assert bench.defects == []
    for _, request, clocks, left_s in bench.network.asked:
        assert request == UpstreamRequest(method=b"GET", path=b"/health")
        assert (clocks.connect_s, clocks.tls_s, clocks.first_header_s) == (0.5, 0.5, 0.5)
        assert 0.0 < left_s <= 0.5
    assert all(answer.is_closed for answer in bench.network.answers)


def test_without_a_path_nothing_is_asked_for() -> None:
    async def test(bench: Bench) -> None:
        bench.checkups.follow({"p": subject("p", HealthCheck(every_s=0.02, timeout_s=0.5))})
        await until(lambda: bench.counted("p")["well"] >= 2)
        bench.network.says["p"] = REFUSED
        await until(lambda: bench.is_left_alone("p"))

    assert {request for _, request, _, _ in run(test).network.asked} == {None}


@pytest.mark.parametrize(
    ("word", "outcome"),
    [(200, "well"), (204, "well"), (302, "well"), (401, "unwell"), (404, "unwell"), (503, "unwell"),
     (REFUSED, "unwell"), (BUSY, "skipped")],
)  # fmt: skip
def test_outcome_is_what_came_back(word: int | Exception, outcome: str) -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = word
        bench.checkups.follow({"p": subject("p")})
        await until(lambda: bench.counted("p")[outcome] >= 3)
        assert bench.is_left_alone("p") == (outcome == "unwell")
        assert sum(bench.counted("p").values()) == bench.counted("p")[outcome]

    run(test)


def test_operator_is_told_once_when_it_is_unwell_and_once_when_it_is_well_again() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = 503
        bench.checkups.follow({"p": subject("p")})
        await until(lambda: bench.counted("p")["unwell"] >= 5)
        bench.network.says["p"] = 200
        await until(lambda: bench.counted("p")["well"] >= 3)
        assert not bench.is_left_alone("p")

    assert run(test).log.lines == [
        (
            "provider_unwell",
            {"provider": "p", "why": "It answered 503.", "effect": "its deployments are left alone"},
        ),
        ("provider_well_again", {"provider": "p"}),
    ]


def test_all_accounts_of_a_provider_are_looked_at_by_one_check() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = 500
        bench.checkups.follow({"p": subject("p", SOON, "p", "p#2"), "q": subject("q")})
        await until(lambda: bench.counted("p")["unwell"] >= 2)
        assert [bench.is_left_alone(account) for account in ("p", "p#2", "q")] == [True, True, False]

    run(test)


def test_first_failure_is_looked_at_again_after_a_second_and_not_after_the_whole_interval() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = 500
        bench.checkups.follow({"p": subject("p", HealthCheck(path="/", every_s=3600.0))})
        await until(lambda: bench.is_left_alone("p"))
        await asyncio.sleep(0.1)
        assert bench.network.count("p") == 2

    run(test)


def test_provider_that_never_answers_keeps_no_other_waiting() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["slow"] = None
        bench.checkups.follow({"slow": subject("slow"), "p": subject("p")})
        await until(lambda: bench.network.count("p") >= 10)
        assert bench.network.count("slow") == 1

    run(test)


def test_so_many_checks_are_made_at_once_and_no_more() -> None:
    async def test(bench: Bench) -> None:
        names = [f"p{number}" for number in range(MOST_AT_ONCE + 50)]
        bench.network.says = dict.fromkeys(names)
        bench.checkups.follow({name: subject(name) for name in names})
        await until(lambda: len(bench.network.under_way) == MOST_AT_ONCE)
        await asyncio.sleep(0.05)
        assert len(bench.network.under_way) == MOST_AT_ONCE

    assert run(test).network.most_under_way == MOST_AT_ONCE


@pytest.mark.parametrize("drawn", [0.0, 0.5, 0.999])
def test_interval_is_never_longer_than_it_is_set_to(drawn: float) -> None:
    async def test(bench: Bench) -> None:
        bench.checkups.follow({"p": subject("p", SELDOM)})
        await until(lambda: bench.network.count("p") == 5)

    waits = [after - before for before, after in pairwise(run(test, drawn=drawn).network.begun)]
    assert min(waits) >= 0.2 * (1 - 0.1 * drawn) - 0.005
    assert sum(waits) / len(waits) <= 0.4, "on a busy machine they come late, but not twice as late"


def test_first_checks_are_spread_by_chance() -> None:
    async def test(bench: Bench) -> None:
        bench.checkups.follow({"p": subject("p", HealthCheck(path="/", every_s=3600.0))})
        await asyncio.sleep(0.05)
        assert bench.network.asked == []

    run(test, drawn=0.5)


def test_reload_leaves_the_same_ones_as_they_were() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = 500
        same, other = subject("p", HealthCheck(path="/", every_s=3600.0)), subject("q")
        bench.checkups.follow({"p": same, "q": other})
        await until(lambda: bench.is_left_alone("p"))
        bench.checkups.follow({"p": same})
        asked = bench.network.count("q")
        await asyncio.sleep(0.1)
        assert bench.is_left_alone("p")
        assert bench.network.count("p") == 2
        assert bench.network.count("q") == asked
        assert [name for (name, _), _ in bench.checkups.counts()] == ["p"] * 3
        assert bench.checkups.subjects == {"p": same}

    run(test)


def test_reload_cuts_what_is_under_way_for_nobody_and_begins_anew_for_what_has_changed() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = None
        bench.checkups.follow({"p": subject("p")})
        await until(lambda: bench.network.under_way == ["p"])
        bench.network.says["p"] = 200
        bench.checkups.follow({"p": subject("p", HealthCheck(path="/other", every_s=0.02, timeout_s=0.5))})
        await until(lambda: bench.counted("p")["well"] >= 1)
        assert bench.network.cut == 1
        bench.checkups.follow({})
        asked = len(bench.network.asked)
        await asyncio.sleep(0.1)
        assert len(bench.network.asked) == asked
        assert bench.checkups.counts() == []

    run(test)


def test_what_was_found_is_forgotten_where_it_is_looked_at_no_more() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says["p"] = 500
        bench.checkups.follow({"p": subject("p")})
        await until(lambda: bench.is_left_alone("p"))
        bench.checkups.follow({})
        (view,) = bench.standings.views(time.monotonic())
        assert view.checked is None

    run(test)


def test_without_subjects_there_is_no_task() -> None:
    async def test(bench: Bench) -> None:
        bench.checkups.follow({})
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test)


def test_closing_cuts_what_is_under_way() -> None:
    async def test(bench: Bench) -> None:
        bench.network.says = {"p": None, "q": None}
        bench.checkups.follow({"p": subject("p"), "q": subject("q")})
        await until(lambda: len(bench.network.under_way) == 2)

    assert run(test).network.cut == 2


def test_defect_is_reported_and_the_next_check_comes() -> None:
    defect = ValueError("the path cannot be sent")

    async def test(bench: Bench) -> None:
        bench.network.says["p"] = defect
        bench.checkups.follow({"p": subject("p")})
        await until(lambda: bench.counted("p")["skipped"] >= 2)
        assert not bench.is_left_alone("p")

    assert run(test).defects[:2] == [defect, defect]
