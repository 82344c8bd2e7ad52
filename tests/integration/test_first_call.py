"""The main job: the official SDK with a virtual key gets its answer, and the passage stands in the book."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from house import PROVIDER_KEY, House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

ASK = [{"role": "user", "content": "Is anybody home?"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        upstream.require_key(PROVIDER_KEY)
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), config_text(upstream.base_url)) as house:
        yield house


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{house.url}/v1", api_key=house.new_key("*"), max_retries=0) as client:
        yield client


def newest(house: House, outcome: str = "ok") -> dict[str, object]:
    return next(row for row in house.book(20) if row["outcome"] == outcome)


def test_chat_completion_is_answered(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt", messages=ASK)  # type: ignore[arg-type]
    assert "home" in str(answer.choices[0].message.content)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_chat_completion_is_streamed_without_usage_nobody_asked_for(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    chunks = list(client.chat.completions.create(model="gpt", messages=ASK, stream=True))  # type: ignore[arg-type]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "home" in text
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert upstream.received[0].json()["stream_options"] == {"include_usage": True}


def test_chat_completion_is_streamed_with_usage_when_asked_for(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt",
        messages=ASK,
        stream=True,
        stream_options={"include_usage": True},  # type: ignore[arg-type]
    )
    last = list(stream)[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


def test_async_client_is_served_alike(house: House) -> None:
    async def ask() -> str:
        async with AsyncOpenAI(
            base_url=f"{house.url}/v1", api_key=house.new_key("gpt"), max_retries=0
        ) as client:
            stream = await client.chat.completions.create(model="gpt", messages=ASK, stream=True)  # type: ignore[arg-type]
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert "home" in asyncio.run(ask())


def test_completions_and_embeddings_are_answered(client: OpenAI) -> None:
    completion = client.completions.create(model="text", prompt="Is anybody home?")
    assert completion.choices[0].text
    pieces = list(client.completions.create(model="text", prompt="Is anybody home?", stream=True))
    assert "".join(piece.choices[0].text for piece in pieces if piece.choices)
    embedded = client.embeddings.create(model="embed", input=["one", "two"])
    assert len(embedded.data) == 2
    assert len(embedded.data[0].embedding) > 0


def test_models_are_those_of_the_key(house: House) -> None:
    with OpenAI(base_url=f"{house.url}/v1", api_key=house.new_key("gpt", "em*"), max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["gpt", "embed"]
        assert client.models.retrieve("gpt").id == "gpt"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("text")


def test_provider_gets_its_key_and_not_the_callers(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    client.chat.completions.create(model="gpt", messages=ASK)  # type: ignore[arg-type]
    headers = upstream.received[0].headers
    assert headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert not [name for name in headers if name.startswith(("x-stainless", "x-forwarded", "cookie"))]
    assert client.api_key not in json.dumps(dict(headers)) + upstream.received[0].body.decode()


def test_passage_stands_in_the_book(house: House, client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=ASK)  # type: ignore[arg-type]
    request_id = raw.headers["x-request-id"]
    row = next(row for row in house.book() if row["id"] == request_id)
    assert (row["outcome"], row["status"], row["route"], row["deployment"]) == (
        "ok",
        200,
        "gpt",
        "up/mock-chat",
    )
    assert row["key_name"] == "test"
    assert row["cost_nanousd"] is None
    usage = raw.parse().usage
    assert usage is not None
    assert row["usage"]["input_tokens"] == usage.prompt_tokens
    assert row["usage"]["output_tokens"] == usage.completion_tokens
    assert row["usage"]["source"] == "reported"
    assert [(a["number"], a["outcome"], a["status"]) for a in row["attempts"]] == [(1, "ok", 200)]
    assert raw.headers["x-tollhouse-route"] == "gpt"
    assert raw.headers["x-tollhouse-attempts"] == "1"
    assert float(raw.headers["x-tollhouse-overhead-ms"]) >= 0


def test_passthrough_carries_any_path_of_the_provider(house: House, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    key = house.new_key("passthrough/up")
    headers = {"authorization": f"Bearer {key}", "x-custom": "kept"}
    status, out, body = house.call("GET", "/passthrough/up/models?limit=3", headers=headers)
    assert status == 200
    assert json.loads(body)["data"]
    received = upstream.received[0]
    assert (received.method, received.path) == ("GET", "/v1/models?limit=3")
    assert received.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert received.headers["x-custom"] == "kept"
    row = next(row for row in house.book() if row["id"] == out["x-request-id"])
    assert (row["operation"], row["outcome"], row["usage"]) == ("passthrough", "ok", None)


def test_passthrough_does_not_trace(house: House, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    headers = {"authorization": f"Bearer {house.new_key('*')}"}
    status, _, body = house.call("TRACE", "/passthrough/up/echo", headers=headers)
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")
    assert upstream.count == 0


def test_passthrough_needs_its_own_scope(house: House, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    key = house.new_key("gpt")
    assert house.call("GET", "/passthrough/up/models", headers={"authorization": f"Bearer {key}"})[0] == 403
    assert upstream.count == 0


@pytest.mark.parametrize(
    "path",
    ["../admin", "%2e%2e/admin", "a/../../b", "/evil.example/x", "a%2f..%2f..%2fb", "a\\..\\b", "./x"],
)
def test_passthrough_does_not_leave_the_base_url(house: House, upstream: ScriptedUpstream, path: str) -> None:
    upstream.reset()
    key = house.new_key("passthrough/up")
    status, _, _ = house.call("GET", f"/passthrough/up/{path}", headers={"authorization": f"Bearer {key}"})
    assert status == 400
    assert upstream.count == 0


def test_open_doors_ask_for_no_key_and_all_others_do(house: House, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    for path in ("/healthz", "/readyz", "/metrics"):
        assert house.call("GET", path)[0] == 200
    doors = [
        ("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"), ("GET", "/v1/models/gpt"), ("GET", "/passthrough/up/models"),
        ("DELETE", "/passthrough/up/x"),
    ]  # fmt: skip
    for method, path in doors:
        status, headers, body = house.call(method, path, b"{}" if method == "POST" else None)
        assert (path, status) == (path, 401)
        assert json.loads(body)["error"]["code"] == "unauthenticated"
        assert headers["x-request-id"].startswith("req_")
    assert upstream.count == 0


def test_metrics_count_what_happened(house: House, client: OpenAI) -> None:
    client.chat.completions.create(model="gpt", messages=ASK)  # type: ignore[arg-type]
    text = house.call("GET", "/metrics")[2].decode()
    counted = [
        line
        for line in text.splitlines()
        if line.startswith("tollhouse_exchanges_total") and 'route="gpt"' in line
    ]
    assert any('outcome="ok"' in line and not line.endswith(" 0.0") for line in counted)
    assert "tollhouse_journal_entries_total" in text
    assert client.api_key not in text
    assert house.call("GET", "/metrics", headers={"x-forwarded-for": "8.8.8.8"})[0] == 403
