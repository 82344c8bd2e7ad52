"""An exchange that is ended at any step: one row, every permit back, no task, timer or connection left behind.

The loop leaps over time and counts its turns; each scenario is run once for each of them, and its caller leaves, or the
house closes on it, in that turn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.balancing import Standings
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import AttemptIntent, Outcome
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Counter, CounterKind
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Timeouts
from tollhouse.pipeline import Door, House, serve
from tollhouse.plugins import Plugins, load_plugins
from tollhouse.ports.reply import CallerTooSlow, HeaderList
from tollhouse.ports.transport import Answer, Phase, Target, TransportError, UpstreamRequest
from tollhouse.stages.account import Accountant
from tollhouse.stages.admit import Admission, Prices
from tollhouse.stages.authenticate import Keyring, key_digest
from tollhouse.stages.detach import Detached
from tollhouse.stages.dispatch import Binding, Dispatcher, Turnstile
from tollhouse.stages.list_models import ModelBook
from tollhouse.stages.mirrors import Mirrors
from tollhouse.stages.replay import ReplayBook
from tollhouse.stages.route import Router
from tollhouse.stages.translate import find_way
from tollhouse.testing import FakeClock
from unit.stages.leaping import LeapingLoop
from unit.test_pipeline import CHAT, FRAMES, GOOD, KEY, PEPPER, FakeAnswer, FakeRequest, World
from workbench import OpenGate, counters, workbench

CONFIG = """
version: 1
providers:
  up: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}
  spare: {kind: openai_compatible, base_url: http://127.0.0.1:2/v1}
  talker: {kind: openai, base_url: http://127.0.0.1:3/v1, credential: env:KEY}
  talker-spare: {kind: openai, base_url: http://127.0.0.1:4/v1, credential: env:KEY}
teams: {payers: {limits: {requests_per_minute: 100, tokens_per_minute: 1000000, concurrency: 50}, budget: {usd: 100}}}
routes:
  one: {deployments: [{provider: up, model: a, <<}], heartbeat_after_s: 4}
  two: {deployments: [{provider: up, model: b, <<}], fallbacks: [spare]}
  spare: {deployments: [{provider: spare, model: c, <<}]}
  narrow: {deployments: [{provider: up, model: d, max_concurrency: 1, <<}], queue: {length: 2, age_s: 9}}
  pair:
    deployments: [{provider: up, model: j, max_concurrency: 1, <<}, {provider: spare, model: k, max_concurrency: 1, <<}]
    queue: {length: 3, age_s: 6}
  kept: {deployments: [{provider: up, model: e, <<}], on_disconnect: drain}
  small: {deployments: [{provider: up, model: g, <<}], fallbacks: {context_overflow: [large], outage: [large]}}
  large: {deployments: [{provider: spare, model: h, <<}]}
  chatting: {deployments: [{provider: up, model: i, dialect: openai_chat, <<}], fallbacks: [spare]}
  talk: {deployments: [{provider: talker, model: t, <<}], fallbacks: [talk-spare]}
  talk-spare: {deployments: [{provider: talker-spare, model: s, <<}]}
  copied: {deployments: [{provider: up, model: f, <<}], mirror: {route: spare, share: 1.0}}
""".replace(
    "<<",
    "price: {input_per_million_usd: 1, output_per_million_usd: 2}, max_output_tokens: 9, context_window_tokens: 9000",
)
PASS = Door(operation=Operation.PASSTHROUGH, dialect="openai_chat")
SLOTS = Counter(id="slots/team:payers", kind=CounterKind.SLOTS, limit=50)
Play = FakeAnswer | BaseException
EVERYBODY = -1


@cache
def configured() -> tuple[Plugins, Snapshot]:
    plugins = load_plugins()
    return plugins, compile_config(load(CONFIG), plugins.providers)


class LoopClock(FakeClock):
    """Its monotonic time is the loop's."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class SlowAnswer(FakeAnswer):
    """Each piece comes after a moment."""

    async def read(self) -> bytes:
        await asyncio.sleep(1.0)
        return await super().read()


class SlowWorld(World):
    """Every await takes a turn of the loop at least; the house behind it is whole."""

    def __init__(self, *answers: Play, journal_error: GatewayError | None = None) -> None:
        super().__init__(*answers, journal_error=journal_error, config=CONFIG)
        self.standings = Standings()
        self.turnstile: Turnstile

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else TransportError(
            ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, "nobody there"
        )  # fmt: skip
        await asyncio.sleep(0.5)
        if isinstance(answer, BaseException):
            raise answer
        self.given.append(answer)
        return answer

    async def write_ahead(self, intent: AttemptIntent) -> None:
        if self.journal_error is not None:
            raise self.journal_error
        self.intents.append(intent)
        await asyncio.sleep(0)

    def house(self) -> House:
        plugins, snapshot = configured()
        clock = LoopClock()
        keyring = Keyring(PEPPER)
        keyring.learn(
            [VirtualKey(id="key_1", name="ci", digest=key_digest(PEPPER, KEY), team="payers", routes=("*",))]
        )
        keyring.set_loaded()
        keyring.set_freshness(is_fresh=True)
        target: Any = object()
        bindings = {name: Binding(up, target, None) for name, up in snapshot.providers.items()}
        groups = {name: route.deployments for name, route in snapshot.routes.items()}
        self.standings.configure({}, groups)
        self.turnstile = Turnstile(self.standings, clock)
        self.counters = counters(clock)
        stand_in: Any = self
        return House(
            snapshot=snapshot,
            router=Router(snapshot, self.standings),
            workbench=workbench(plugins.dialects, clock),
            models=ModelBook(snapshot, plugins.dialects, find_way),
            keyring=keyring,
            dispatcher=Dispatcher(stand_in, stand_in, clock, bindings, self.turnstile),
            admission=Admission(snapshot, self.counters, clock, Prices(snapshot)),
            accountant=Accountant(stand_in, [stand_in], clock, self.counters),
            clock=clock,
            gate=OpenGate(),
            replays=ReplayBook(clock),
            detached=Detached(self.defects.append, most=1, longest_s=30.0),
            mirrors=Mirrors(self.defects.append),
            report=lambda _, defect: self.defects.append(defect),
        )


class SlowRequest(FakeRequest):
    async def body(self) -> bytes:
        await asyncio.sleep(0)
        return await super().body()


class SlowReply:
    """Implements ports.reply.Reply: takes a moment for each piece, may be too slow for one, or refuse the headers."""

    def __init__(self, *, slow_at: int | None = None, is_refusing: bool = False) -> None:
        self.status = 0
        self.out = b""
        self.is_started = self.is_gone = self.is_ended = self.is_aborted = False
        self._writes = 0
        self._slow_at = slow_at
        self._is_refusing = is_refusing

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        self.start(status, headers)
        self.end(body)

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        if self._is_refusing and status == 200:
            raise ValueError("a header that is none")
        assert not self.is_started, "an answer has one status"
        self.is_started, self.status, self.out = True, status, first

    async def write(self, data: bytes) -> None:
        assert self.is_started
        self._writes += 1
        self.out += data
        await asyncio.sleep(0.25)
        if self._writes == self._slow_at:
            raise CallerTooSlow

    def beat(self, data: bytes) -> None:
        if not self.is_ended:
            self.out += data

    def end(self, data: bytes = b"") -> None:
        assert not self.is_ended
        self.out, self.is_ended = self.out + data, True

    def abort(self, last: bytes = b"") -> None:
        self.out, self.is_aborted = self.out + last, True


class Call:
    """One caller, and when it is ended how."""

    def __init__(
        self, model: str, *, stream: bool = False, key: str = "", door: Door = CHAT, **reply: Any
    ) -> None:
        headers = {b"authorization": f"Bearer {KEY}".encode()}
        if key:
            headers[b"idempotency-key"] = key.encode()
        self.door = door
        self.request = SlowRequest(
            json.dumps({"model": model, "messages": [], "stream": stream}).encode(), headers
        )
        if door is PASS:
            self.request.path = "/passthrough/up/files/1"
        self.reply = SlowReply(**reply)


Calls = Callable[[], list[Call]]
Plays = Callable[[], list[Play]]


def lived(
    plays: list[Play], calls: list[Call], cut: int | None, step: int, *, is_gone: bool, **world: Any
) -> tuple[SlowWorld, int]:
    """Serve the calls at once; in turn `step` of the loop the one numbered `cut` is cancelled, or EVERYBODY. What must
    hold however it ends is asserted here. Returns the world, and how many turns they took."""
    at_work = SlowWorld(*plays, **world)
    loop = LeapingLoop()

    async def main() -> int:
        house = at_work.house()
        tasks = [asyncio.create_task(serve(house, c.door, c.request, c.reply)) for c in calls]  # type: ignore[arg-type]
        await asyncio.sleep(0)  # what has not begun needs no row
        begun = loop.steps

        def leave(now: int) -> None:
            assert now < 10_000, "a loop that never waits"
            for number, task in enumerate(tasks):
                if cut in (number, EVERYBODY) and now - begun == step and not task.done():
                    calls[number].reply.is_gone = is_gone
                    task.cancel()

        loop.on_step = leave
        await asyncio.wait(tasks)
        lasted = loop.steps - begun
        await house.detached.close(1_000.0)
        while house.mirrors.count:
            await asyncio.sleep(1.0)
        for number, task in enumerate(tasks):
            assert cut in (number, EVERYBODY) or not task.cancelled()
            assert task.cancelled() or task.exception() is None
            reply = calls[number].reply
            assert task.cancelled() or reply.is_ended or reply.is_aborted, "nobody is left waiting"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert at_work.counters.left(SLOTS).amount == SLOTS.limit
        return lasted

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        lasted = runner.run(main())
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]
    settled_once(at_work, len(calls))
    return at_work, lasted


def settled_once(world: SlowWorld, calls: int) -> None:
    rows = {row.id: row for row in world.settled}
    assert len(rows) == len(world.settled), "an exchange has one row"
    assert sum(row.mirrors is None for row in world.settled) == calls
    assert world.seen == world.settled
    assert all(answer.is_closed for answer in world.given)
    for view in world.standings.views(2_000.0):
        assert (view.in_flight, view.repeats, view.waiting) == (0, 0, 0)
    assert (world.turnstile.waiting, world.turnstile._lines) == (0, {})
    assert sum(len(row.attempts) for row in world.settled) == len(world.intents)
    assert len(world.requests) <= len(world.intents)
    purse = world.counters.purse("purse/team:payers/total/total")
    assert purse.held_nanousd == 0, "nothing stays set aside"
    assert purse.spent_nanousd == sum(row.charged_nanousd or 0 for row in world.settled), (
        "the rows say it all"
    )
    for row in world.settled:
        assert row.outcome is not Outcome.OPEN
        assert len(row.attempts) <= 3
        assert all(attempt.outcome is not Outcome.OPEN for attempt in row.attempts)


def unary(status: int = 200, **headers: str) -> SlowAnswer:
    answer = SlowAnswer([GOOD], status=status)
    answer.headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return answer


def stream(*pieces: bytes | BaseException) -> SlowAnswer:
    return SlowAnswer(list(pieces or FRAMES), kind=b"text/event-stream")


def lost(phase: Phase) -> TransportError:
    return TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, phase, "lost")


SCENARIOS: dict[str, tuple[Plays, Calls]] = {
    "unary": (lambda: [unary()], lambda: [Call("one")]),
    "stream": (lambda: [stream()], lambda: [Call("one", stream=True)]),
    "stream that begins with heartbeats": (
        lambda: [lost(Phase.SENT), stream(*[b": still here\n\n"] * 9, *FRAMES)],
        lambda: [Call("two", stream=True)],
    ),
    "stream that breaks": (
        lambda: [stream(FRAMES[0], lost(Phase.STARTED))],
        lambda: [Call("one", stream=True)],
    ),
    "queue": (lambda: [unary(), unary(), unary()], lambda: [Call("narrow"), Call("narrow"), Call("narrow")]),
    "queue that is full": (
        lambda: [stream(*FRAMES)],
        lambda: [Call("narrow", stream=True), *[Call("narrow") for _ in range(4)]],
    ),
    "wait before a retry": (lambda: [unary(503), lost(Phase.NOT_SENT), unary()], lambda: [Call("one")]),
    "wait the provider asks for": (lambda: [unary(429, retry_after="7"), unary()], lambda: [Call("one")]),
    "fallback": (lambda: [unary(500), stream()], lambda: [Call("two", stream=True)]),
    "with an idempotency key": (
        lambda: [stream()],
        lambda: [Call("one", stream=True, key="k"), Call("one", stream=True, key="k")],
    ),
    "unary with an idempotency key": (lambda: [unary()], lambda: [Call("one", key="k")]),
    "with an idempotency key, failing": (
        lambda: [unary(500), unary(500), unary(500)],
        lambda: [Call("one", key="k"), Call("one", key="k")],
    ),
    "drained": (lambda: [stream()], lambda: [Call("kept", stream=True)]),
    "drained after a retry": (lambda: [unary(503), unary()], lambda: [Call("kept")]),
    "two drained where one may be": (
        lambda: [stream(), stream()],
        lambda: [Call("kept", stream=True), Call("kept", stream=True)],
    ),
    "mirrored": (lambda: [stream(), stream()], lambda: [Call("copied", stream=True)]),
    "passed through": (lambda: [unary()], lambda: [Call("", door=PASS)]),
}


@pytest.mark.parametrize("is_gone", [True, False], ids=["caller leaves", "house closes"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_exchange_that_is_ended_in_any_turn_of_the_loop_leaves_one_row_and_nothing_else(
    name: str, is_gone: bool
) -> None:
    plays, calls = SCENARIOS[name]
    _, steps = lived(plays(), calls(), None, 0, is_gone=is_gone)
    for cut in (*range(len(calls())), EVERYBODY):
        for step in range(1, steps + 1):
            lived(plays(), calls(), cut, step, is_gone=is_gone)


def test_one_who_leaves_everybody_in_the_queue_is_served_in_turn() -> None:
    plays, calls = SCENARIOS["queue"]
    _, steps = lived(plays(), calls(), None, 0, is_gone=True)
    for cut in range(3):
        for step in range(1, steps + 1):
            world, _ = lived(plays(), calls(), cut, step, is_gone=True)
            assert sum(row.outcome is Outcome.OK for row in world.settled) >= 2


answers = st.one_of(
    st.sampled_from([200, 200, 400, 408, 429, 500, 503]).map(lambda status: lambda: unary(status)),
    st.sampled_from(Phase).map(lambda phase: lambda: lost(phase)),
    st.lists(st.sampled_from([*FRAMES, b": x\n\n", b"data: {broken\n\n", b""]), max_size=4).map(
        lambda pieces: lambda: stream(*pieces)
    ),
    st.just(lambda: stream(FRAMES[0], lost(Phase.STARTED))),
    st.just(lambda: ZeroDivisionError("a defect")),
    st.just(lambda: stream(FRAMES[0], ZeroDivisionError("a defect"))),
)
callers = st.builds(
    lambda model, stream, key, slow_at, is_refusing: Call(
        model, stream=stream, key=key, slow_at=slow_at, is_refusing=is_refusing
    ),
    st.sampled_from(["one", "two", "narrow", "pair", "kept", "copied"]),
    st.booleans(),
    st.sampled_from(["", "", "k"]),
    st.none() | st.integers(1, 3),
    st.sampled_from([False, False, False, True]),
)


@given(
    st.lists(answers, max_size=6),
    st.lists(callers, min_size=1, max_size=4),
    st.integers(EVERYBODY, 3),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from([None, None, GatewayError(ErrorKind.OVERLOADED, "full", blame=Blame.OPERATOR)]),
)
@settings(deadline=None, max_examples=150)
def test_whatever_goes_wrong_wherever_everything_is_settled_once(
    plays: list[Callable[[], Play]],
    calls: list[Call],
    cut: int,
    step: int,
    is_gone: bool,
    journal_error: GatewayError | None,
) -> None:
    made = [play() for play in plays]
    lived(made, calls, min(cut, len(calls) - 1), step, is_gone=is_gone, journal_error=journal_error)
