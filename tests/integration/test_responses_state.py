"""Responses state with the official SDK: over two accounts that keep it, and an upstream that does not."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream


class Account(ThreadingHTTPServer):
    """A provider of the Responses API: keeps what it answers, and reads no ciphers but its own."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.is_down = False
        self.kept: dict[str, Any] = {}
        self.asked: list[Any] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def make(self, asked: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(asked)
        previous = asked.get("previous_response_id")
        if previous is not None and previous not in self.kept:
            return 404, {"error": {"message": f"Previous response {previous} not found."}}
        items = asked["input"] if isinstance(asked["input"], list) else []
        if any(not item.get("encrypted_content", self.name).startswith(self.name) for item in items):
            error = {
                "message": "The encrypted content could not be verified.",
                "code": "invalid_encrypted_content",
            }
            return 400, {"error": error}
        number = len(self.kept)
        turn = self.kept[previous]["turn"] + 1 if previous is not None else 1
        text = {"type": "output_text", "text": f"{self.name}, turn {turn}", "annotations": []}
        answer = {
            "id": f"resp_{self.name}{number}", "object": "response", "created_at": 1, "status": "completed",
            "model": "m", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "previous_response_id": previous,
            "output": [
                {"type": "reasoning", "id": f"rs_{self.name}{number}", "summary": [],
                 "encrypted_content": f"{self.name}-secret-{number}"},
                {"type": "message", "id": f"msg_{self.name}{number}", "role": "assistant", "status": "completed",
                 "content": [text]},
            ],
            "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5,
                      "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
        }  # fmt: skip
        self.kept[str(answer["id"])] = {"answer": answer, "turn": turn}
        return 200, answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Account

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.server.is_down:
            self._send(503, {"error": {"message": "down"}})
            return
        asked = json.loads(body)
        status, answer = self.server.make(asked)
        if status == 200 and asked.get("stream"):
            self._stream(answer)
        else:
            self._send(status, answer)

    def do_GET(self) -> None:
        kept = self.server.kept.get(self.path.partition("?")[0].rpartition("/")[2])
        self._send(*((200, kept["answer"]) if kept else (404, {"error": {"message": "no such response"}})))

    def do_DELETE(self) -> None:
        self.server.kept.pop(self.path.rpartition("/")[2])
        self._send(200, {"deleted": True})

    def _stream(self, answer: dict[str, Any]) -> None:
        message = answer["output"][1]
        place = {"item_id": message["id"], "output_index": 1, "content_index": 0}
        events = [
            {"type": "response.created", "response": {**answer, "status": "in_progress", "output": []}},
            {"type": "response.output_text.delta", **place, "delta": "yes", "logprobs": []},
            {"type": "response.completed", "response": answer},
        ]
        frames = [
            f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n"
            for n, event in enumerate(events)
        ]
        self._send_bytes(200, "".join(frames).encode(), "text/event-stream")

    def _send(self, status: int, document: Any) -> None:
        self._send_bytes(status, json.dumps(document).encode(), "application/json")

    def _send_bytes(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def accounts() -> Iterator[tuple[Account, Account]]:
    pair = Account("a"), Account("b")
    for account in pair:
        threading.Thread(target=account.serve_forever, daemon=True).start()
    yield pair
    for account in pair:
        account.shutdown()
        account.server_close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(
    accounts: tuple[Account, Account], upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    native = {"kind": "openai", "credential": "env:UP_KEY", "dialects": ["openai_responses"]}
    config = config_text(
        upstream.base_url,
        providers={
            "a": {**native, "base_url": accounts[0].base_url},
            "b": {**native, "base_url": accounts[1].base_url},
            "chat": {"kind": "openai_compatible", "base_url": upstream.base_url},
        },
        routes={
            "two": {
                "deployments": [{"provider": "a", "model": "m"}, {"provider": "b", "model": "m"}],
                "strategy": "weighted",
            },
            "text": {"deployments": [{"provider": "chat", "model": "mock-chat"}]},
        },
    )
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        yield house


@pytest.fixture(autouse=True)
def _up(accounts: tuple[Account, Account], upstream: ScriptedUpstream) -> None:
    for account in accounts:
        account.is_down = False
        account.asked.clear()
    upstream.reset()


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{house.url}/v1", api_key=house.new_key("*"), max_retries=0) as client:
        yield client


def made(client: OpenAI, *, stream: bool, **asked: Any) -> Any:
    """The answer, however it comes."""
    if not stream:
        return client.responses.create(**asked)
    last = list(client.responses.create(**asked, stream=True))[-1]
    assert last.type == "response.completed"
    return last.response


@pytest.mark.parametrize("stream", [False, True])
def test_conversation_goes_on_at_the_account_that_keeps_it(client: OpenAI, stream: bool) -> None:
    answer = made(client, stream=stream, model="two", input="hi")
    name = answer.output_text.partition(",")[0]
    for turn in range(2, 8):
        answer = made(client, stream=stream, model="two", input="go on", previous_response_id=answer.id)
        assert answer.output_text == f"{name}, turn {turn}"


@pytest.mark.parametrize("stream", [False, True])
def test_conversation_is_kept_by_the_house_over_chat(
    client: OpenAI, upstream: ScriptedUpstream, stream: bool
) -> None:
    first = made(client, stream=stream, model="text", input="one")
    second = made(client, stream=stream, model="text", input="two", previous_response_id=first.id)
    third = made(client, stream=stream, model="text", input="three", previous_response_id=second.id)
    assert third.previous_response_id == second.id
    told = upstream.received[-1].json()["messages"]
    assert [message["role"] for message in told] == ["user", "assistant"] * 2 + ["user"]
    assert [message["content"] for message in told[::2]] == ["one", "two", "three"]
    assert told[1]["content"] == first.output_text


def test_answers_say_who_keeps_the_conversation(client: OpenAI) -> None:
    def state(**asked: Any) -> str | None:
        raw = client.responses.with_raw_response.create(input="hi", **asked)
        return raw.headers.get("x-tollhouse-responses-state")

    assert state(model="two") == "native"
    assert state(model="text") == "emulated"
    assert state(model="text", store=False) is None


@pytest.mark.parametrize("model", ["two", "text"])
def test_another_tenant_finds_nothing(house: House, client: OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, input="hi")
    with OpenAI(base_url=f"{house.url}/v1", api_key=house.new_key("*"), max_retries=0) as stranger:
        with pytest.raises(openai.NotFoundError) as refused:
            stranger.responses.create(model=model, input="go on", previous_response_id=answer.id)
        assert refused.value.param == "previous_response_id"
        for ask in (stranger.responses.retrieve, stranger.responses.delete, stranger.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                ask(answer.id)
        with pytest.raises(openai.NotFoundError):
            stranger.responses.input_items.list(answer.id)


@pytest.mark.parametrize("stream", [False, True])
def test_twenty_turns_over_two_accounts_that_refuse_each_others_ciphers(
    client: OpenAI, accounts: tuple[Account, Account], stream: bool
) -> None:
    items: list[Any] = []
    for turn in range(20):
        accounts[0].is_down = turn % 7 == 3
        accounts[1].is_down = turn % 7 == 5
        items.append({"role": "user", "content": f"turn {turn}"})
        answer = made(client, stream=stream, model="two", input=items, store=False)
        items += [item.model_dump(exclude={"id"}, exclude_none=True) for item in answer.output]
    assert all(account.asked for account in accounts)


def test_stored_answers_are_asked_for_by_their_ids(client: OpenAI) -> None:
    for model in ("two", "text"):
        answer = client.responses.create(model=model, input="hi")
        assert client.responses.retrieve(answer.id).output_text == answer.output_text
        client.responses.delete(answer.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(answer.id)


def test_input_items_of_the_house_are_the_conversation(client: OpenAI) -> None:
    first = client.responses.create(model="text", input="one")
    second = client.responses.create(model="text", input="two", previous_response_id=first.id)
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.type for item in items] == ["message"] * 3
    assert items[1].id == first.output[0].id
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(second.id)


def test_a_restart_loses_the_memory_and_says_so(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with running_house(tmp_path, config_text(upstream.base_url)) as house:
        with OpenAI(base_url=f"{house.url}/v1", api_key=house.new_key("*"), max_retries=0) as client:
            answer = client.responses.create(model="gpt", input="hi")
            before = house.worker_pids()
            os.kill(before[0], signal.SIGKILL)
            until = time.monotonic() + 20
            while time.monotonic() < until and set(house.worker_pids()) & set(before):
                time.sleep(0.05)
            with pytest.raises(openai.NotFoundError) as refused:
                client.with_options(max_retries=5).responses.create(
                    model="gpt", input="go on", previous_response_id=answer.id
                )
            assert "until it restarts" in json.dumps(refused.value.body)
