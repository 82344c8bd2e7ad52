"""Conversations of the Responses API through all rooms of the house, over providers that keep state and others that do
not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.errors import ErrorKind
from tollhouse.core.exchange import AttemptIntent, AuthEvent, ExchangeRecord, Settlement
from tollhouse.core.identity import VirtualKey
from tollhouse.core.ids import virtual_key_text
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.pipeline import House, serve
from tollhouse.plugins import load_plugins
from tollhouse.ports.reply import HeaderList
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.stages.account import Accountant
from tollhouse.stages.authenticate import Keyring, key_digest, pepper_of
from tollhouse.stages.dispatch import Binding, Dispatcher
from tollhouse.stages.list_models import ModelBook
from tollhouse.stages.translate import find_way
from tollhouse.surface.http.doors import find_door
from tollhouse.testing import FakeClock
from workbench import counters, rooms, turnstile, workbench

CONFIG = """
version: 1
providers:
  a: {kind: openai, credential: env:A, base_url: http://127.0.0.1:1/v1, dialects: [openai_responses]}
  b: {kind: openai, credential: env:B, base_url: http://127.0.0.1:1/v1, dialects: [openai_responses]}
  open: {kind: openai, credential: env:C, base_url: http://127.0.0.1:1/v1, dialects: [openai_responses],
         foreign_ids: forward}
  chat: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}
  plain: {kind: groq, credential: env:D, base_url: http://127.0.0.1:1/v1, dialects: [openai_responses]}
routes:
  two: {deployments: [{provider: a, model: m}, {provider: b, model: m}]}
  even: {deployments: [{provider: a, model: m}, {provider: b, model: m}], strategy: weighted}
  small: {deployments: [{provider: a, model: mini}, {provider: b, model: m}]}
  other: {deployments: [{provider: b, model: m}]}
  text: {deployments: [{provider: chat, model: m}], unknown_parameters: strict}
  mixed: {deployments: [{provider: chat, model: m}, {provider: a, model: m}]}
  plain: {deployments: [{provider: plain, model: m}]}
  open: {deployments: [{provider: open, model: m}]}
  open-mixed: {deployments: [{provider: chat, model: m}, {provider: open, model: m}]}
"""
PEPPER = pepper_of(Secret("a master key of some length"))
TEXT, TEAM_MATE, STRANGER, NARROW = (virtual_key_text(bytes([n]) * 32) for n in range(4))
KEYS = [
    VirtualKey(id="key_1", name="one", digest=key_digest(PEPPER, TEXT), team="a", routes=("*",)),
    VirtualKey(id="key_2", name="mate", digest=key_digest(PEPPER, TEAM_MATE), team="a", routes=("*",)),
    VirtualKey(id="key_3", name="stranger", digest=key_digest(PEPPER, STRANGER), team="b", routes=("*",)),
    VirtualKey(id="key_4", name="narrow", digest=key_digest(PEPPER, NARROW), team="a", routes=("text",)),
]
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


class FakeAnswer:
    def __init__(self, body: bytes, status: int = 200, kind: bytes = b"application/json") -> None:
        self.status = status
        self.headers = [(b"content-type", kind)]
        self.pieces = [body]

    def expect(self, kind: ErrorKind, at: float) -> None: ...

    def hurry(self) -> None: ...

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None: ...


class Account:
    """A provider that keeps responses, and reads nobody's ciphers but its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept: dict[str, Any] = {}
        self.is_down = False

    def __call__(self, method: str, path: str, body: bytes) -> FakeAnswer:
        if self.is_down:
            return FakeAnswer(b'{"error":{"message":"down"}}', 503)
        if method == "POST" and path.endswith("/responses"):
            return self.make(json.loads(body))
        name = path.partition("?")[0].partition("/responses/")[2].partition("/")[0]
        if name not in self.kept:
            return FakeAnswer(b'{"error":{"message":"no such response"}}', 404)
        if method == "DELETE":
            del self.kept[name]
            return FakeAnswer(b'{"deleted":true}')
        return FakeAnswer(json.dumps({"id": name, "asked": [method, path]}).encode())

    def make(self, asked: dict[str, Any]) -> FakeAnswer:
        previous = asked.get("previous_response_id")
        if previous is not None and previous not in self.kept and not previous.startswith("foreign"):
            return FakeAnswer(b'{"error":{"message":"not found"}}', 404)
        items = asked["input"] if isinstance(asked.get("input"), list) else []
        for item in items:
            if not str(item.get("encrypted_content", self.name)).startswith(self.name):
                return FakeAnswer(
                    b'{"error":{"message":"bad cipher","code":"invalid_encrypted_content"}}', 400
                )
        number = len(self.kept)
        name = f"resp_{self.name}_{number}"
        reasoning = {"type": "reasoning", "id": f"rs_{self.name}_{number}", "summary": [],
                     "encrypted_content": f"{self.name}-{number}"}  # fmt: skip
        message = {"type": "message", "role": "assistant", "id": f"msg_{self.name}_{number}", "status": "completed",
                   "content": [{"type": "output_text", "text": "yes", "annotations": []}]}  # fmt: skip
        answer: dict[str, Any] = {"id": name, "object": "response", "status": "completed", "usage": USAGE}
        answer["output"] = [reasoning, message]
        self.kept[name] = answer
        return streamed(answer) if asked.get("stream") else FakeAnswer(json.dumps(answer).encode())


def streamed(answer: dict[str, Any]) -> FakeAnswer:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**answer, "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "delta": "yes"},
        {"type": "response.completed", "response": answer},
    ]
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return FakeAnswer(b"".join(frames), kind=b"text/event-stream")


def chat(method: str, path: str, body: bytes) -> FakeAnswer:
    """Chat completions: says how many messages it was told."""
    asked = json.loads(body)
    text = f"{len(asked['messages'])} messages"
    if asked.get("stream"):
        chunks = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
        frames = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
        return FakeAnswer(b"".join([*frames, b"data: [DONE]\n\n"]), kind=b"text/event-stream")
    message = {"role": "assistant", "content": text}
    return FakeAnswer(
        json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    )


class Request:
    peer = "127.0.0.1"
    certificate = b""

    def __init__(self, method: str, path: str, body: bytes, key: str) -> None:
        self.method = method
        self.path, _, self.query = path.partition("?")
        self.headers = {b"authorization": f"Bearer {key}".encode()}
        self._body = body

    async def body(self) -> bytes:
        return self._body


class Reply:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.out = b""
        self.is_started = False
        self.is_gone = False

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        self.start(status, headers)
        self.out = body

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        self.is_started, self.status = True, status
        self.headers = {name.decode(): value.decode() for name, value in headers}

    async def write(self, data: bytes) -> None:
        self.out += data

    def end(self, data: bytes = b"") -> None:
        self.out += data

    def abort(self) -> None:
        raise AssertionError("not in these tests")

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def response(self) -> Any:
        """Of a stream's terminal event."""
        return json.loads(self.out.strip().rpartition(b"\ndata: ")[2])["response"]

    @property
    def state(self) -> str | None:
        return self.headers.get("x-tollhouse-responses-state")

    @property
    def deployment(self) -> str | None:
        return self.headers.get("x-tollhouse-deployment")


class World:
    """The house, and its providers behind a transport that knows them by name."""

    def __init__(self, config: str = CONFIG) -> None:
        plugins = load_plugins()
        snapshot = compile_config(load(config), plugins.providers)
        self.clock = FakeClock()
        self.a, self.b, self.let_through = Account("a"), Account("b"), Account("open")
        self.plain = Account("plain")
        self.providers: dict[str, Callable[[str, str, bytes], FakeAnswer]] = {
            "a": self.a,
            "b": self.b,
            "open": self.let_through,
            "chat": chat,
            "plain": self.plain,
        }
        self.told: list[tuple[str, str, str, Any]] = []
        self.rows: list[ExchangeRecord] = []
        keyring = Keyring(PEPPER)
        keyring.learn(KEYS)
        keyring.set_loaded()
        keyring.set_freshness(is_fresh=True)
        bindings = {name: Binding(up, name, None) for name, up in snapshot.providers.items()}
        self.defects: list[BaseException] = []
        self.house = House(
            snapshot=snapshot,
            workbench=workbench(plugins.dialects, self.clock),
            models=ModelBook(snapshot, plugins.dialects, find_way),
            keyring=keyring,
            dispatcher=Dispatcher(self, self, self.clock, bindings, turnstile(self.clock)),  # type: ignore[arg-type]
            **rooms(snapshot, self.clock),
            accountant=Accountant(self, [], self.clock, counters(self.clock)),  # type: ignore[arg-type]
            clock=self.clock,
            report=lambda _, defect: self.defects.append(defect),
        )

    async def open(
        self, target: str, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> FakeAnswer:
        method, path = request.method.decode(), request.path.decode()
        self.told.append((target, method, path, json.loads(request.body) if request.body else None))
        return self.providers[target](method, path, request.body)

    async def write_ahead(self, intent: AttemptIntent) -> None: ...

    def note(self, entry: Settlement | AuthEvent) -> None:
        if isinstance(entry, Settlement):
            self.rows.append(entry.exchange)

    def call(self, method: str, path: str, key: str = TEXT, body: bytes = b"") -> Reply:
        door, _ = find_door(method, path.partition("?")[0])
        assert door is not None
        reply = Reply()
        asyncio.run(serve(self.house, door, Request(method, path, body, key), reply))  # type: ignore[arg-type]
        assert self.defects == []
        return reply

    def ask(self, model: str, input: Any = "hi", key: str = TEXT, **more: Any) -> Reply:  # noqa: A002
        document = {"model": model, "input": input, **more}
        return self.call("POST", "/v1/responses", key, json.dumps(document).encode())

    @property
    def last(self) -> Any:
        """What the last upstream was told."""
        return self.told[-1][3]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def closed() -> World:
    """Where no provider's ids are let through."""
    return World(CONFIG.replace("foreign_ids: forward", "foreign_ids: refuse"))


def item_texts(items: list[dict[str, Any]]) -> list[str]:
    return [
        item["content"] if isinstance(item["content"], str) else item["content"][0]["text"] for item in items
    ]


# -- kept by the provider


@pytest.mark.parametrize("stream", [False, True])
def test_conversation_goes_on_where_it_is_kept(world: World, stream: bool) -> None:
    world.a.is_down = True
    first = world.ask("two", stream=stream)
    world.a.is_down = False
    assert (first.deployment, first.state) == ("b/m", "native")
    name = (first.response if stream else first.json)["id"]
    second = world.ask("two", "go on", previous_response_id=name, stream=stream)
    assert (second.status, second.deployment, second.state) == (200, "b/m", "native")
    assert world.last["previous_response_id"] == name
    assert world.last["input"] == "go on"


def test_conversation_goes_on_with_another_model_of_the_same_provider(world: World) -> None:
    name = world.ask("two").json["id"]
    second = world.ask("small", previous_response_id=name)
    assert (second.status, second.deployment) == (200, "a/mini")


def test_conversation_does_not_go_on_where_nobody_keeps_it(world: World) -> None:
    name = world.ask("two").json["id"]
    before = len(world.told)
    reply = world.ask("other", previous_response_id=name)
    assert (reply.status, reply.json["error"]["param"]) == (400, "previous_response_id")
    assert "'two'" in reply.json["error"]["hint"]
    assert len(world.told) == before


def test_conversation_is_not_moved_when_its_keeper_is_down(world: World) -> None:
    name = world.ask("two").json["id"]
    world.a.is_down = True
    reply = world.ask("two", previous_response_id=name)
    assert reply.status == 502
    assert {told[0] for told in world.told} == {"a"}


def test_item_of_the_providers_is_referred_to_where_it_is(world: World) -> None:
    world.a.is_down = True
    item = world.ask("two").json["output"][1]
    world.a.is_down = False
    reply = world.ask("two", [{"type": "item_reference", "id": item["id"]}, {"role": "user", "content": "x"}])
    assert reply.deployment == "b/m"
    assert world.last["input"][0] == {"type": "item_reference", "id": item["id"]}


def test_background_call_goes_to_who_can(world: World) -> None:
    assert world.ask("mixed", background=True).deployment == "a/m"
    assert world.ask("text", background=True).status == 400


# -- kept by the house


@pytest.mark.parametrize("stream", [False, True])
def test_conversation_is_kept_by_the_house_where_the_upstream_does_not(world: World, stream: bool) -> None:
    def told(reply: Reply) -> Any:
        return reply.response if stream else reply.json

    first = world.ask("text", "one", stream=stream, store=True)
    assert (first.status, first.state) == (200, "emulated")
    assert "x-tollhouse-dropped" not in first.headers
    second = world.ask("text", "two", stream=stream, previous_response_id=told(first)["id"])
    third = world.ask("text", "three", stream=stream, previous_response_id=told(second)["id"])
    assert [(m["role"], m["content"]) for m in world.last["messages"]] == [
        ("user", "one"), ("assistant", "1 messages"),
        ("user", "two"), ("assistant", "3 messages"), ("user", "three"),
    ]  # fmt: skip
    assert third.state == "emulated"
    assert told(third)["previous_response_id"] == told(second)["id"]
    again = world.ask("text", "other", stream=stream, previous_response_id=told(first)["id"])
    assert len(world.last["messages"]) == 3
    assert again.status == 200


def test_what_shall_not_be_stored_is_not(world: World) -> None:
    first = world.ask("text", "one", store=False)
    assert first.state is None
    assert world.ask("text", previous_response_id=first.json["id"]).status == 404
    assert world.call("GET", f"/v1/responses/{first.json['id']}").status == 404


def test_conversation_of_the_house_goes_on_anywhere(world: World) -> None:
    first = world.ask("text", "one")
    second = world.ask("two", "two", previous_response_id=first.json["id"])
    assert (second.deployment, second.state) == ("a/m", "emulated")
    assert item_texts(world.last["input"]) == ["one", "1 messages", "two"]
    assert "previous_response_id" not in world.last
    third = world.ask("two", "three", previous_response_id=second.json["id"])
    assert (third.status, third.state) == (200, "native")
    assert world.last["previous_response_id"] == second.json["id"]


def test_item_of_the_house_is_told_instead_of_referred_to(world: World) -> None:
    item = world.ask("text", "one").json["output"][0]
    reply = world.ask(
        "text", [{"type": "item_reference", "id": item["id"]}, {"role": "user", "content": "x"}]
    )
    assert reply.state == "emulated"
    assert [m["content"] for m in world.last["messages"]] == ["1 messages", "x"]


def test_provider_that_keeps_nothing_is_not_asked_to(world: World) -> None:
    first = world.ask("plain", "one", store=True)
    assert (first.state, world.last["store"]) == ("emulated", False)
    second = world.ask("plain", "two", previous_response_id=first.json["id"])
    assert (second.status, second.state) == (200, "emulated")
    assert [item["type"] for item in world.last["input"]] == ["message", "reasoning", "message", "message"]


def test_house_forgets_after_a_day(world: World) -> None:
    name = world.ask("text", "one").json["id"]
    world.clock.advance(86_401)
    reply = world.ask("text", previous_response_id=name)
    assert (reply.status, reply.json["error"]["code"]) == (404, "route_not_found")


# -- whose it is


@pytest.mark.parametrize("model", ["two", "text"])
def test_team_shares_and_strangers_learn_nothing(closed: World, model: str) -> None:
    name = closed.ask(model).json["id"]
    before = len(closed.told)
    strange = closed.ask(model, key=STRANGER, previous_response_id=name)
    unknown = closed.ask(model, key=STRANGER, previous_response_id="resp_no")
    assert strange.status == unknown.status == 404
    error, other = strange.json["error"], unknown.json["error"]
    assert error["param"] == "previous_response_id"
    assert error["message"].replace(name, "resp_no") == other["message"]
    for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        assert closed.call(method, f"/v1/responses/{name}{below}", key=STRANGER).status == 404
    assert len(closed.told) == before
    assert closed.ask(model, key=TEAM_MATE, previous_response_id=name).status == 200


def test_strangers_item_is_not_referred_to(world: World) -> None:
    for model in ("two", "text"):
        item = world.ask(model).json["output"][0]
        reply = world.ask(model, [{"type": "item_reference", "id": item["id"]}], key=STRANGER)
        assert (reply.status, reply.json["error"]["param"]) == (404, "input")


def test_key_goes_on_only_from_routes_it_may_use(world: World) -> None:
    name = world.ask("mixed").json["id"]
    assert world.ask("text", key=NARROW, previous_response_id=name).status == 404
    assert world.call("GET", f"/v1/responses/{name}", key=NARROW).status == 404


def test_unknown_id_reaches_only_providers_that_take_foreign_ones(world: World) -> None:
    reply = world.ask("open-mixed", previous_response_id="foreign_1")
    assert (reply.status, reply.deployment, reply.state) == (200, "open/m", "native")
    assert world.last["previous_response_id"] == "foreign_1"
    assert world.ask("open-mixed", [{"id": "foreign_2"}]).deployment == "open/m"


@pytest.mark.parametrize(
    "member", [{"conversation": "conv_1"}, {"conversation": {"id": "c"}}, {"prompt": {"id": "p"}}]
)
def test_what_lives_in_the_providers_account_needs_the_operators_word(
    world: World, member: dict[str, Any]
) -> None:
    refused = world.ask("two", **member)
    assert (refused.status, refused.json["error"]["param"]) == (400, next(iter(member)))
    assert "foreign_ids" in refused.json["error"]["hint"]
    assert world.told == []
    assert world.ask("open-mixed", **member).deployment == "open/m"


def test_call_does_not_go_on_from_two_things(world: World) -> None:
    assert world.ask("open", conversation="c", previous_response_id="foreign_1").status == 400


# -- what only its issuer can read


@pytest.mark.parametrize("stream", [False, True])
def test_twenty_turns_over_two_accounts_have_no_error(world: World, stream: bool) -> None:
    items: list[dict[str, Any]] = []
    made_by = set()
    for turn in range(20):
        items.append({"role": "user", "content": f"turn {turn}"})
        world.a.is_down = turn % 7 == 3
        world.b.is_down = turn % 7 == 5
        reply = world.ask("even", items, stream=stream, store=False, include=["reasoning.encrypted_content"])
        assert reply.status == 200, reply.out
        made_by.add(reply.deployment)
        output = (reply.response if stream else reply.json)["output"]
        items += [{name: value for name, value in item.items() if name != "id"} for item in output]
    assert made_by == {"a/m", "b/m"}


def test_cipher_goes_back_to_its_issuer_first(world: World) -> None:
    world.a.is_down = True
    items = world.ask("two", store=False).json["output"]
    world.a.is_down = False
    reply = world.ask("two", [*items, {"role": "user", "content": "x"}], store=False)
    assert (reply.deployment, reply.headers["x-tollhouse-attempts"]) == ("b/m", "1")
    assert world.last["input"][0] == items[0]


def test_cipher_is_left_out_for_others_and_that_is_said(world: World) -> None:
    items = world.ask("two", store=False).json["output"]
    world.a.is_down = True
    reply = world.ask("two", [*items, {"role": "user", "content": "x"}], store=False)
    assert (reply.status, reply.deployment) == (200, "b/m")
    assert [item.get("type") for item in world.last["input"]] == ["message", None]
    assert reply.headers["x-tollhouse-dropped"] == "input[].reasoning"


def test_call_that_refers_to_nothing_goes_out_byte_for_byte(world: World) -> None:
    items = world.ask("two").json["output"]
    body = (
        b'{"model": "two", "input": [%s, {"role":"user","content":"\\u00e9"}], "x": 1.50}'
        % json.dumps(items[0]).encode()
    )
    seen: list[bytes] = []

    def watched(method: str, path: str, sent: bytes) -> FakeAnswer:
        seen.append(sent)
        return world.a(method, path, sent)

    world.providers["a"] = watched
    assert world.call("POST", "/v1/responses", body=body).status == 200
    assert seen[0] == body.replace(b'"two"', b'"m"')


# -- asked for by id


def test_response_of_the_provider_is_asked_for_there(closed: World) -> None:
    closed.a.is_down = True
    name = closed.ask("two").json["id"]
    closed.a.is_down = False
    path = f"/v1/responses/{name}"
    got = closed.call("GET", path + "?include=x")
    assert (got.json["asked"], got.state, got.deployment) == (["GET", path + "?include=x"], "native", "b/m")
    assert closed.call("POST", path + "/cancel").json["asked"] == ["POST", path + "/cancel"]
    assert closed.call("GET", path + "/input_items?limit=3").json["asked"][1] == path + "/input_items?limit=3"
    assert closed.call("DELETE", path).status == 200
    assert closed.call("GET", path).status == 404
    assert closed.ask("two", previous_response_id=name).status == 404
    operations = [row.operation for row in closed.rows[1:6]]
    assert operations == [
        "retrieve_response", "cancel_response", "list_input_items", "delete_response", "retrieve_response",
    ]  # fmt: skip
    assert [len(row.attempts) for row in closed.rows[1:6]] == [1, 1, 1, 1, 0]
    assert closed.rows[1].route == "two"


def test_response_of_the_house_is_told_by_the_house(closed: World) -> None:
    first = closed.ask("text", "one")
    before = len(closed.told)
    path = f"/v1/responses/{first.json['id']}"
    got = closed.call("GET", path)
    assert (got.out, got.state) == (first.out, "emulated")
    assert closed.call("GET", path + "/input_items").json["data"][0]["content"][0]["text"] == "one"
    assert closed.call("POST", path + "/cancel").status == 400
    assert closed.call("DELETE", path).json["deleted"] is True
    assert closed.call("GET", path).status == 404
    assert len(closed.told) == before


def test_unknown_response_is_asked_for_at_the_one_provider_that_takes_foreign_ids(world: World) -> None:
    world.let_through.kept["resp_x"] = {}
    assert world.call("GET", "/v1/responses/resp_x").status == 200
    assert world.told[-1][:3] == ("open", "GET", "/v1/responses/resp_x")
    assert world.call("GET", "/v1/responses/resp_x", key=NARROW).status == 404
    assert world.told[-1][0] == "open"
    assert len(world.told) == 1


def test_what_the_house_knows_as_anothers_goes_nowhere(world: World) -> None:
    made = world.ask("open").json
    name, item = made["id"], made["output"][1]["id"]
    assert world.ask("open", key=STRANGER, previous_response_id=name).status == 404
    assert world.ask("open", [{"id": item}], key=STRANGER).status == 404
    assert world.call("GET", f"/v1/responses/{name}", key=STRANGER).status == 404
    assert len(world.told) == 1
    assert world.call("DELETE", f"/v1/responses/{name}").status == 200


def test_path_that_would_leave_the_responses_is_refused(world: World) -> None:
    for name in ("..", "%2e%2e", "..%2fadmin", "a%2f..%2f..%2fb"):
        assert world.call("GET", f"/v1/responses/{name}").status in (400, 404)
    assert world.told == []
