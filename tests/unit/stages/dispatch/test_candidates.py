"""Who is tried, in which order, where some candidates cannot be told what the caller asks for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import AttemptIntent
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Deployment, Plan, RetryPolicy, Route, Timeouts
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import ClientCall, Reading
from tollhouse.ports.opened import Whole
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.stages.dispatch import Binding, Dispatcher
from tollhouse.testing import FakeClock
from workbench import turnstile

CALL = ClientCall(operation=Operation.CHAT, model="m", is_stream=False, asks_usage=True, body=b"{}", spans={})
NAMES = ("a", "b", "c")


class Upstreams:
    """Transport, journal and ways in one: what each name does is written down beforehand."""

    def __init__(self, **does: int | None) -> None:
        """The status a name answers with; None where it cannot be told what is asked."""
        self.does = does
        self.asked: list[str] = []

    async def cross(self, candidate: Candidate, upstream: Upstream) -> Crossing:
        name = candidate.deployment.provider
        if self.does[name] is None:
            raise GatewayError(ErrorKind.UNSUPPORTED_PARAMETER, f"not {name}", blame=Blame.CLIENT)
        return Way(name)

    async def open(
        self, target: Any, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answered:
        self.asked.append(target)
        status = self.does[target]
        assert status is not None
        return Answered(status)

    async def write_ahead(self, intent: AttemptIntent) -> None: ...


class Way:
    """Implements ports.crossing.Crossing."""

    request = UpstreamRequest(method=b"POST", path=b"/", headers=())
    stream_type = b"text/event-stream"
    added_tokens = 0
    reply_type = None

    def __init__(self, name: str) -> None:
        self.dropped = (f"dropped for {name}",)

    def whole(self, body: bytes) -> tuple[bytes, Reading]:
        return body, Reading()

    def stream(self) -> Any:
        raise AssertionError("no streams here")

    def refusal(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, f"status {status}", blame=Blame.UPSTREAM)


class Answered:
    """Implements ports.transport.Answer, with no body."""

    headers = ()

    def __init__(self, status: int) -> None:
        self.status = status

    def expect(self, kind: ErrorKind, at: float) -> None: ...

    def hurry(self) -> None: ...

    async def read(self) -> bytes:
        return b""

    def close(self) -> None: ...


def passage() -> Passage:
    return Passage(
        id="req_1", accepted_at=0.0, accepted=0.0, operation=Operation.CHAT, door="", peer="", config="", dialect=""
    )  # fmt: skip


def called(upstreams: Upstreams, mine: Passage, attempts: int = 3) -> Whole:
    names = tuple(upstreams.does)
    candidates = tuple(
        Candidate(deployment=Deployment(id=f"{name}/m", provider=name, model="m"), model="m", route="r")
        for name in names
    )
    route = Route(
        name="r",
        deployments=tuple(each.deployment for each in candidates),
        retry=RetryPolicy(max_attempts=attempts),
    )
    upstream: Any = object()
    stand_in: Any = upstreams
    bindings: dict[str, Binding] = {name: Binding(upstream, name, None) for name in names}  # type: ignore[arg-type]
    clock = FakeClock()
    dispatcher = Dispatcher(stand_in, stand_in, clock, bindings, turnstile(clock))
    plan = Plan(route=route, candidates=candidates, deadline=1e9)
    answer = asyncio.run(dispatcher.call(plan, CALL, mine, upstreams.cross))
    assert isinstance(answer, Whole)
    return answer


@pytest.mark.parametrize(
    ("does", "asked"),
    [
        ({"a": None, "b": 200}, ["b"]),
        ({"a": 500, "b": None, "c": 200}, ["a", "c"]),
        ({"a": None, "b": 500, "c": 200}, ["b", "c"]),
        ({"a": None, "b": None, "c": 200}, ["c"]),
    ],
)
def test_who_cannot_be_told_is_passed_over(does: dict[str, int | None], asked: list[str]) -> None:
    upstreams, mine = Upstreams(**does), passage()
    assert called(upstreams, mine).status == 200
    assert upstreams.asked == asked
    assert [each.candidate.deployment.provider for each in mine.attempts] == asked
    assert mine.dropped == (f"dropped for {asked[-1]}",)


@pytest.mark.parametrize(
    ("does", "asked"),
    [
        ({"a": 500, "b": None}, ["a", "a", "a"]),
        ({"a": None, "b": 500}, ["b", "b", "b"]),
        ({"a": 400, "b": None}, ["a"]),
        ({"a": 500, "b": None, "c": 400}, ["a", "c"]),
    ],
)
def test_failure_of_an_upstream_is_told_and_not_that_another_could_not_be_asked(
    does: dict[str, int | None], asked: list[str]
) -> None:
    upstreams = Upstreams(**does)
    with pytest.raises(GatewayError) as caught:
        called(upstreams, passage())
    assert caught.value.kind is ErrorKind.UPSTREAM_UNAVAILABLE
    assert upstreams.asked == asked


def test_nobody_who_could_be_asked_is_told_in_the_words_of_the_last() -> None:
    upstreams, mine = Upstreams(a=None, b=None), passage()
    with pytest.raises(GatewayError, match="not b"):
        called(upstreams, mine)
    assert upstreams.asked == []
    assert list(mine.attempts) == []
