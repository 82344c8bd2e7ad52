"""One exchange through all rooms, with a scripted transport: every end has one row, and says the truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import AttemptIntent, AuthEvent, ExchangeRecord, Outcome, Settlement
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import virtual_key_text
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.pipeline import Door, House, refuse, serve
from tollhouse.plugins import load_plugins
from tollhouse.ports.reply import CallerTooSlow, HeaderList
from tollhouse.ports.transport import (
    Answer,
    Credential,
    Egress,
    Origin,
    Phase,
    Target,
    TransportError,
    UpstreamRequest,
)
from tollhouse.stages.account import Accountant
from tollhouse.stages.authenticate import Keyring, key_digest, pepper_of
from tollhouse.stages.dispatch import Binding, Dispatcher
from tollhouse.stages.list_models import ModelBook
from tollhouse.stages.translate import find_way
from tollhouse.testing import FakeClock
from workbench import counters, rooms, turnstile, workbench

CONFIG = """
version: 1
providers: {up: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}, chat-only: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1, dialects: [openai_chat]}}
routes:
  gpt: {deployments: [{provider: up, model: m}], retry: {max_attempts: 2}}
  once: {deployments: [{provider: up, model: m}], retry: {max_attempts: 1}}
  limited: {deployments: [{provider: chat-only, model: m}]}
"""  # noqa: E501 - two providers on one line
CHAT = Door(operation=Operation.CHAT, dialect="openai_chat")
KEY = virtual_key_text(bytes(32))
PEPPER = pepper_of(Secret("a master key of some length"))
GOOD = b'{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
FRAMES = [
    b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
]


class FakeAnswer:
    """Gives its pieces, then its end; an exception among them is raised."""

    def __init__(
        self, pieces: list[bytes | BaseException], status: int = 200, kind: bytes = b"application/json"
    ) -> None:
        self.status = status
        self.headers = [(b"content-type", kind), (b"openai-organization", b"acme")]
        self.pieces = pieces
        self.is_closed = False

    def expect(self, kind: ErrorKind, at: float) -> None: ...

    def hurry(self) -> None: ...

    async def read(self) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self) -> None:
        self.is_closed = True


class World:
    """Transport, journal and sink in one, and everything they saw."""

    def __init__(
        self,
        *answers: FakeAnswer | BaseException,
        journal_error: GatewayError | None = None,
        config: str = CONFIG,
    ) -> None:
        self.config = config
        self.answers = list(answers)
        self.given: list[FakeAnswer] = []
        self.requests: list[UpstreamRequest] = []
        self.intents: list[AttemptIntent] = []
        self.settled: list[ExchangeRecord] = []
        self.events: list[AuthEvent] = []
        self.seen: list[ExchangeRecord] = []
        self.defects: list[BaseException] = []
        self.journal_error = journal_error

    def bind(
        self, origin: Origin, credential: Credential | None = None, egress: Egress | None = None
    ) -> Target:
        raise AssertionError("bound by the test")

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        assert len(self.intents) == len(self.requests) + 1, "the intent is written before the call"
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        self.given.append(answer)
        return answer

    async def write_ahead(self, intent: AttemptIntent) -> None:
        if self.journal_error is not None:
            raise self.journal_error
        self.intents.append(intent)

    def note(self, entry: Settlement | AuthEvent) -> None:
        if isinstance(entry, Settlement):
            self.settled.append(entry.exchange)
        else:
            self.events.append(entry)

    def write(self, record: ExchangeRecord) -> None:
        self.seen.append(record)

    async def close(self) -> None: ...

    def house(self) -> House:
        plugins = load_plugins()
        snapshot = compile_config(load(self.config), plugins.providers)
        clock = FakeClock()
        keyring = Keyring(PEPPER)
        keyring.learn([VirtualKey(id="key_1", name="ci", digest=key_digest(PEPPER, KEY), routes=("*",))])
        keyring.set_loaded()
        keyring.set_freshness(is_fresh=True)
        bindings = {
            name: Binding(up, object(), Secret("sk-canary")) for name, up in snapshot.providers.items()
        }  # type: ignore[arg-type]
        return House(
            snapshot=snapshot,
            workbench=workbench(plugins.dialects, clock),
            models=ModelBook(snapshot, plugins.dialects, find_way),
            keyring=keyring,
            dispatcher=Dispatcher(self, self, clock, bindings, turnstile(clock)),  # type: ignore[arg-type]
            **rooms(snapshot, clock),
            accountant=Accountant(self, [self], clock, counters(clock)),  # type: ignore[arg-type]
            clock=clock,
            report=lambda _, defect: self.defects.append(defect),
        )

    @property
    def row(self) -> ExchangeRecord:
        """The one row of the one exchange; the sinks got the same."""
        assert len(self.settled) == 1
        assert self.seen == self.settled
        return self.settled[0]


class FakeRequest:
    method = "POST"
    path = "/v1/chat/completions"
    query = ""
    peer = "127.0.0.1"
    certificate = b""

    def __init__(self, body: bytes | BaseException, headers: Mapping[bytes, bytes] | None = None) -> None:
        self.headers = {b"authorization": f"Bearer {KEY}".encode()} if headers is None else headers
        self._body = body

    async def body(self) -> bytes:
        if isinstance(self._body, BaseException):
            raise self._body
        return self._body


class FakeReply:
    def __init__(self, on_write: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.out = b""
        self.is_started = False
        self.is_gone = False
        self.is_ended = False
        self.is_aborted = False
        self._on_write = on_write

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        self.start(status, headers)
        self.out, self.is_ended = body, True

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        assert not self.is_started
        self.is_started, self.status, self.headers = True, status, dict(headers)

    async def write(self, data: bytes) -> None:
        self.out += data
        if self._on_write is not None:
            await self._on_write()

    def end(self, data: bytes = b"") -> None:
        assert not self.is_ended
        self.out, self.is_ended = self.out + data, True

    def abort(self) -> None:
        self.is_aborted = True

    @property
    def error(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)["error"]
        return document


def body(**more: Any) -> bytes:
    return json.dumps({"model": "gpt", "messages": [], **more}).encode()


def run(world: World, request: FakeRequest, reply: FakeReply | None = None, door: Door = CHAT) -> FakeReply:
    made = reply or FakeReply()
    asyncio.run(serve(world.house(), door, request, made))
    assert all(answer.is_closed for answer in world.given)
    return made


def stream(*pieces: bytes | BaseException) -> FakeAnswer:
    return FakeAnswer(list(pieces), kind=b"text/event-stream")


def lost(phase: Phase = Phase.STARTED) -> TransportError:
    return TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, phase, "the connection was lost")


def test_unary_call_is_answered_and_written_down() -> None:
    world = World(FakeAnswer([GOOD]))
    reply = run(world, FakeRequest(body()))
    assert (reply.status, reply.out) == (200, GOOD)
    assert b"openai-organization" not in reply.headers
    row = world.row
    assert (row.outcome, row.status, row.route, row.finish_reason) == (Outcome.OK, 200, "gpt", "stop")
    assert row.usage is not None
    assert (row.usage.input_tokens, row.usage.output_tokens) == (3, 2)
    assert [attempt.outcome for attempt in row.attempts] == [Outcome.OK]
    assert world.intents[0].exchange.id == row.id
    assert reply.headers[b"x-request-id"].decode() == row.id


def test_stream_goes_out_byte_for_byte() -> None:
    world = World(stream(*FRAMES))
    reply = run(world, FakeRequest(body(stream=True)))
    assert reply.out == b"".join(FRAMES)
    assert reply.is_ended
    assert (world.row.outcome, world.row.is_stream) == (Outcome.OK, True)


def test_stream_that_breaks_sends_what_came_and_then_the_error() -> None:
    world = World(stream(FRAMES[0], FRAMES[0] + b"data: {broken\n\n"))
    reply = run(world, FakeRequest(body(stream=True)))
    assert reply.out.startswith(FRAMES[0] * 2)
    assert b'data: {"error":' in reply.out
    assert reply.is_ended
    assert (world.row.outcome, world.row.error) == (Outcome.UPSTREAM_ERROR, "upstream_invalid_response")


def test_stream_that_fails_within_its_first_read_is_a_status() -> None:
    world = World(stream(FRAMES[0] + b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'))
    reply = run(world, FakeRequest(body(stream=True)))
    assert (reply.status, reply.error["code"]) == (502, "upstream_unavailable")
    assert world.row.outcome is Outcome.UPSTREAM_ERROR


def test_last_event_without_its_empty_line_still_goes_out() -> None:
    whole = b"".join(FRAMES)
    reply = run(World(stream(whole[:-1])), FakeRequest(body(stream=True)))
    assert reply.out == whole[:-1]


def test_stream_that_hides_behind_another_content_type_is_one() -> None:
    world = World(FakeAnswer(list(FRAMES), kind=b"application/json"))
    reply = run(world, FakeRequest(body(stream=True)))
    assert (reply.out, reply.headers[b"content-type"]) == (b"".join(FRAMES), b"text/event-stream")


def test_compressed_answer_is_refused() -> None:
    answer = FakeAnswer([GOOD])
    answer.headers.append((b"content-encoding", b"gzip"))
    reply = run(World(answer), FakeRequest(body()))
    assert reply.error["code"] == "upstream_invalid_response"


def test_whole_answer_to_a_request_for_a_stream_is_refused() -> None:
    reply = run(World(FakeAnswer([GOOD])), FakeRequest(body(stream=True)))
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


@pytest.mark.parametrize("phase", [Phase.NOT_SENT, Phase.SENT])
def test_lost_call_is_made_again_and_both_stand_in_the_row(phase: Phase) -> None:
    world = World(lost(phase), FakeAnswer([GOOD]))
    reply = run(world, FakeRequest(body()))
    assert reply.headers[b"x-tollhouse-attempts"] == b"2"
    first, second = world.row.attempts
    assert (first.outcome, first.is_estimated) == (Outcome.UPSTREAM_ERROR, phase is Phase.SENT)
    assert second.outcome is Outcome.OK


def test_nothing_is_sent_when_the_journal_is_full() -> None:
    world = World(journal_error=GatewayError(ErrorKind.OVERLOADED, "full", blame=Blame.OPERATOR))
    reply = run(world, FakeRequest(body()))
    assert (reply.status, reply.error["code"]) == (503, "overloaded")
    assert world.requests == []
    assert (world.row.outcome, world.row.attempts) == (Outcome.DENIED, ())


def test_denied_call_is_a_row_and_a_line_in_the_authentication_log() -> None:
    world = World()
    house = world.house()
    reply = FakeReply()
    asyncio.run(serve(house, CHAT, FakeRequest(body(), {b"x-api-key": b"sk-th-nope"}), reply))
    house.accountant.flush_authentication_log()
    assert reply.status == 401
    assert (world.row.outcome, world.row.error) == (Outcome.DENIED, "unauthenticated")
    assert [(event.outcome, event.key_id, event.count) for event in world.events] == [
        ("unauthenticated", None, 1)
    ]


def test_operation_nobody_offers_is_told_before_anything_is_sent() -> None:
    door = Door(operation=Operation.EMBEDDINGS, dialect="openai_embeddings")
    world = World()
    reply = run(world, FakeRequest(b'{"model": "limited", "input": "x"}'), door=door)
    assert (reply.status, reply.error["param"]) == (400, "model")
    assert world.intents == []


def test_upstreams_words_reach_the_caller_without_the_credential() -> None:
    words = b'{"error": {"message": "bad key sk-canary", "type": "t", "code": "sk-canary", "param": null}}'
    world = World(FakeAnswer([words], status=400))
    reply = run(world, FakeRequest(body()))
    assert reply.error["message"] == "bad key ***"
    assert b"sk-canary" not in reply.out
    assert "sk-canary" not in str(world.row)


@pytest.mark.parametrize("is_stream", [False, True])
def test_credential_is_taken_out_wherever_an_upstream_repeats_it(is_stream: bool) -> None:
    nested = {
        "message": "sk-canary",
        "type": "sk-canary",
        "param": "sk-canary",
        "code": ["sk-canary"],
        "x": {"y": "sk-canary"},
    }
    answer = FakeAnswer([json.dumps({"error": nested}).encode()], status=429)
    answer.headers += [(b"retry-after", b"sk-canary"), (b"openai-processing-ms", b"sk-canary")]
    world = World(answer)
    reply = run(world, FakeRequest(body(model="once", stream=is_stream)))
    assert reply.status == 429
    assert b"sk-canary" not in reply.out + b"".join(reply.headers.values())
    assert "sk-canary" not in str(world.row)


def test_header_of_a_good_answer_that_holds_the_credential_is_dropped() -> None:
    answer = FakeAnswer([GOOD])
    answer.headers.append((b"openai-version", b"for sk-canary"))
    assert b"openai-version" not in run(World(answer), FakeRequest(body())).headers


def test_error_of_a_passthrough_is_whole_and_without_the_credential() -> None:
    answer = FakeAnswer([b"bad key ", b"sk-can", b"ary"], status=401)
    answer.headers.append((b"www-authenticate", b"Bearer sk-canary"))
    request = FakeRequest(b"")
    request.path = "/passthrough/up/files/1"
    reply = run(World(answer), request, door=Door(operation=Operation.PASSTHROUGH, dialect="openai_chat"))
    assert (reply.status, reply.out) == (401, b"bad key ***")
    assert b"www-authenticate" not in reply.headers


def test_any_2xx_is_an_answer() -> None:
    world = World(FakeAnswer([GOOD], status=201))
    assert run(world, FakeRequest(body())).status == 201
    assert (world.row.outcome, world.row.usage is not None) == (Outcome.OK, True)


def test_words_of_a_broken_answer_are_not_in_the_books() -> None:
    world = World(FakeAnswer([b'{"choices": [{"message": {"content": "private words"']))
    reply = run(world, FakeRequest(body()))
    assert reply.error["code"] == "upstream_invalid_response"
    assert "private" not in str(world.row)


def test_defect_of_the_house_is_an_answer_a_row_and_a_report() -> None:
    world = World(ZeroDivisionError("secret detail"))
    reply = run(world, FakeRequest(body()))
    assert (reply.status, reply.error["code"]) == (500, "internal")
    assert b"secret detail" not in reply.out
    assert (world.row.outcome, world.row.attempts[0].outcome) == (Outcome.INTERNAL, Outcome.INTERNAL)
    assert isinstance(world.defects[0], ZeroDivisionError)


def test_caller_too_slow_is_cut_off() -> None:
    async def too_slow() -> None:
        raise CallerTooSlow

    world = World(stream(*FRAMES))
    reply = run(world, FakeRequest(body(stream=True)), FakeReply(too_slow))
    assert reply.is_aborted
    assert (world.row.outcome, world.row.attempts[0].outcome) == (Outcome.CLIENT_GONE, Outcome.CLIENT_GONE)


@pytest.mark.parametrize(("is_gone", "outcome"), [(True, Outcome.CLIENT_GONE), (False, Outcome.CUT)])
def test_cancelled_exchange_says_who_ended_it(is_gone: bool, outcome: Outcome) -> None:
    world = World(stream(*FRAMES))
    reply = FakeReply()

    async def cancelled() -> None:
        reply.is_gone = is_gone
        raise asyncio.CancelledError

    reply._on_write = cancelled
    with pytest.raises(asyncio.CancelledError):
        run(world, FakeRequest(body(stream=True)), reply)
    assert world.given[0].is_closed
    assert world.row.outcome is outcome


def test_exchange_cancelled_after_its_last_byte_was_good() -> None:
    world = World(stream(*FRAMES, asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        run(world, FakeRequest(body(stream=True)))
    assert (world.row.outcome, world.row.finish_reason) == (Outcome.OK, "stop")


def test_exchange_cancelled_while_it_waits_is_one_row_with_an_uncertain_attempt() -> None:
    world = World(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        run(world, FakeRequest(body()))
    (attempt,) = world.row.attempts
    assert (attempt.outcome, attempt.is_estimated) == (Outcome.CLIENT_GONE, True)


def test_passthrough_that_breaks_is_cut_so_that_nobody_takes_it_for_whole() -> None:
    world = World(FakeAnswer([b"part", lost()], kind=b"application/octet-stream"))
    request = FakeRequest(b"")
    request.path = "/passthrough/up/files/1"
    reply = run(world, request, door=Door(operation=Operation.PASSTHROUGH, dialect="openai_chat"))
    assert (reply.status, reply.out, reply.is_aborted, reply.is_ended) == (200, b"part", True, False)
    assert world.row.outcome is Outcome.UPSTREAM_ERROR


def test_passthrough_that_the_provider_refuses_is_no_success() -> None:
    world = World(FakeAnswer([b"no"], status=503))
    request = FakeRequest(b"")
    request.path = "/passthrough/up/files/1"
    reply = run(world, request, door=Door(operation=Operation.PASSTHROUGH, dialect="openai_chat"))
    assert (reply.status, reply.out) == (503, b"no")
    assert (world.row.outcome, world.row.status) == (Outcome.UPSTREAM_ERROR, 503)
    assert world.row.attempts[0].outcome is Outcome.UPSTREAM_ERROR


def test_what_has_no_door_is_a_row_too() -> None:
    world, reply = World(), FakeReply()
    error = GatewayError(ErrorKind.ROUTE_NOT_FOUND, "no door", blame=Blame.CLIENT)
    refuse(world.house(), error, reply, door="GET /nowhere", peer="127.0.0.1", dialect="openai_chat")
    assert (reply.status, world.row.operation, world.row.door) == (404, Operation.UNKNOWN, "GET /nowhere")
