"""llama.cpp's own server behind a house, with a tiny model that local_model.py writes: what no mock can promise, that
a server people run at home understands what the house says to it, and the house what it answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from house import House, config_text, running_house
from integration.plain_doors import CHAT, CITY, COMPLETIONS, GEMINI, MESSAGES, RESPONSES, Door, Said

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venvs" / "llama" / "bin" / "python"
PROGRAM = Path(__file__).with_name("local_model.py")

TALK = (
    "the toll house by road has one gate and two lamps, over a stone bridge where bread or wine from every market "
    "comes in: straße, naïve, 東京, крепость, 🚪."
)
"""What the model says, over and over, beginning anywhere."""
SLOT_TOKENS = 1024
"""The server's context window for one request."""
HELLO = "Is anybody home?"


# -- the server and the house


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama.cpp server."""
    assert PYTHON.exists(), "no model server is installed: `make test-slow` does that"
    folder = tmp_path_factory.mktemp("model")
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(
            [PYTHON, PROGRAM, folder / "model.gguf"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), (folder / "server.log").read_text()[-2000:]
        yield address
        assert process.poll() is None, "the model server died"
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def house(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    routes = {"local": {"deployments": [{"provider": "up", "model": "tiny"}], "retry": {"max_attempts": 1}}}
    with running_house(
        tmp_path_factory.mktemp("house"), config_text(f"{server}/v1", routes=routes)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.new_key("*")


@pytest.fixture(scope="module")
def client(house: House, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0) as opened:
        yield opened


# -- asking

CHATS = [CHAT, RESPONSES, MESSAGES, GEMINI]
DOORS = [*CHATS, COMPLETIONS]

every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
every_chat = pytest.mark.parametrize("door", CHATS, ids=lambda door: door.name)
either_way = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])


def send(
    house: House, key: str, door: Door, body: dict[str, Any], *, is_stream: bool = False
) -> tuple[int, Any]:
    """The status, and the document or the documents of the stream."""
    if is_stream and door is not GEMINI:
        body = {**body, "stream": True}
        if door in (CHAT, COMPLETIONS):
            body["stream_options"] = {"include_usage": True}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    status, got, answer = house.call("POST", door.path(is_stream), json.dumps(body).encode(), headers)
    if not got["content-type"].startswith("text/event-stream"):
        return status, json.loads(answer)
    data = [line.removeprefix("data: ") for line in answer.decode().splitlines() if line.startswith("data: ")]
    return status, [json.loads(document) for document in data if document != "[DONE]"]


def ask(house: House, key: str, door: Door, body: dict[str, Any], *, is_stream: bool) -> Said:
    status, answer = send(house, key, door, body, is_stream=is_stream)
    assert status == 200, answer
    assert isinstance(answer, list) == is_stream
    return door.read_stream(answer) if is_stream else door.read(answer)


def newest_row(house: House) -> dict[str, Any]:
    return house.book(1)[0]


# -- talk


@every_door
@either_way
def test_text_arrives_whole_and_is_counted(house: House, key: str, door: Door, is_stream: bool) -> None:
    said = ask(house, key, door, door.ask(40, HELLO), is_stream=is_stream)
    assert said.text.strip() in " ".join([TALK] * 3)
    assert len(said.text.split()) == 40
    assert said.finish == door.limited
    assert said.output_tokens == 40
    assert said.input_tokens > 10
    row = newest_row(house)
    assert row["outcome"] == "ok"
    assert row["stream"] == is_stream
    assert row["finish_reason"] == "length"
    counted = row["usage"]
    assert counted["source"] == "reported"
    assert counted["output_tokens"] == 40
    assert counted["input_tokens"] == said.input_tokens


@pytest.mark.parametrize("door", [CHAT, MESSAGES, GEMINI, COMPLETIONS], ids=lambda door: door.name)
@either_way
def test_the_answer_ends_before_a_word_that_stops_it(
    house: House, key: str, door: Door, is_stream: bool
) -> None:
    said = ask(house, key, door, door.ask(60, HELLO) | door.stop("東京"), is_stream=is_stream)
    assert said.text.rstrip().endswith("naïve,")
    assert said.finish == door.stopped
    assert said.output_tokens < 60


def test_the_sdk_sees_one_answer_and_one_stream(client: OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "local",
        "messages": [{"role": "user", "content": HELLO}],
        "max_tokens": 30,
    }
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].finish_reason == "length"
    pieces: list[str] = []
    finish = None
    for chunk in client.chat.completions.create(**asked, stream=True):
        pieces.append(chunk.choices[0].delta.content or "")
        finish = chunk.choices[0].finish_reason or finish
    assert finish == "length"
    assert len(pieces) > 20
    assert "".join(pieces) == whole.choices[0].message.content


# -- tools and forms


@every_chat
@either_way
def test_a_tool_is_called_and_its_result_is_talked_about(
    house: House, key: str, door: Door, is_stream: bool
) -> None:
    body = door.ask(200, "How is the weather in Paris?") | door.tools()
    first = ask(house, key, door, body, is_stream=is_stream)
    assert first.calls == [("weather", {"city": "Paris"})]
    assert first.text == ""
    assert first.finish == door.called
    status, answer = send(house, key, door, body)
    assert status == 200, answer
    following = door.result(body, answer, "mild, 18 degrees") | {
        name: value for name, value in door.ask(20, "").items() if name.startswith(("max", "generation"))
    }
    second = ask(house, key, door, following, is_stream=is_stream)
    assert second.calls == []
    assert second.text.strip() in " ".join([TALK] * 3)
    assert second.finish == door.limited
    assert second.input_tokens > first.input_tokens


FORMS: list[tuple[Door, dict[str, Any]]] = [
    (
        CHAT,
        {"response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY}}},
    ),
    (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "place", "schema": CITY}}}),
    (MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": CITY}}}),
    (
        GEMINI,
        {
            "generationConfig": {
                "maxOutputTokens": 99,
                "responseMimeType": "application/json",
                "responseJsonSchema": CITY,
            }
        },
    ),
]


@pytest.mark.parametrize(("door", "form"), FORMS, ids=[door.name for door, _ in FORMS])
@either_way
def test_an_answer_has_the_form_that_was_asked_for(
    house: House, key: str, door: Door, form: dict[str, Any], is_stream: bool
) -> None:
    said = ask(house, key, door, door.ask(99, HELLO) | form, is_stream=is_stream)
    assert json.loads(said.text) == {"city": "Paris"}
    assert said.calls == []


# -- numbers


def test_texts_become_vectors(client: OpenAI, house: House) -> None:
    answer = client.embeddings.create(model="local", input=["a stone bridge", "a market"])
    assert [item.index for item in answer.data] == [0, 1]
    for item in answer.data:
        assert len(item.embedding) == 64
        assert math.isclose(math.hypot(*item.embedding), 1, rel_tol=1e-3)
    assert answer.usage.prompt_tokens > 0
    assert newest_row(house)["usage"]["input_tokens"] == answer.usage.prompt_tokens


# -- what goes wrong


@every_door
@either_way
def test_a_text_longer_than_the_context_is_said_to_be_that(
    house: House, key: str, door: Door, is_stream: bool
) -> None:
    body = door.ask(8, "hello " * SLOT_TOKENS)
    status, error = send(house, key, door, body, is_stream=is_stream)
    assert status == 400, error
    assert door.too_long(error), error
    assert f"available context size ({SLOT_TOKENS} tokens)" in error["error"]["message"]
    assert newest_row(house)["error"] == "context_length_exceeded"


def test_the_sdk_raises_what_its_users_catch(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="local", messages=[{"role": "user", "content": "hello " * SLOT_TOKENS}]
        )
    assert caught.value.code == "context_length_exceeded"


def test_what_the_server_refuses_is_told_in_its_words(house: House, key: str) -> None:
    body = CHAT.ask(8, HELLO) | {"grammar": "this is no grammar"}
    status, error = send(house, key, CHAT, body)
    assert status == 400, error
    assert "grammar" in error["error"]["message"]


def busy_slots(server: str) -> int:
    with urllib.request.urlopen(f"{server}/slots", timeout=30) as answer:
        return sum(slot["is_processing"] for slot in json.load(answer))


def until(condition: Callable[[], bool], patience_s: float = 10.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@every_door
def test_a_caller_who_leaves_a_stream_frees_the_server(
    house: House, key: str, server: str, door: Door
) -> None:
    """The stream has no end: only that the house hung up frees the server's slot. (Where the answer is no stream
    this server works on, whoever has left.)"""
    body = door.ask(1_000_000, HELLO) | ({} if door is GEMINI else {"stream": True})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", door.path(True), json.dumps(body), headers)
        with connection.getresponse() as answer:
            assert answer.status == 200
            assert len(answer.read(2000)) == 2000
            assert busy_slots(server) == 1
    until(lambda: busy_slots(server) == 0)
    until(lambda: newest_row(house)["outcome"] == "client_gone")
    assert newest_row(house)["attempts"][0]["is_estimated"] is True
