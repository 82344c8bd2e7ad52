"""In a whole house: what models tell, what passthrough is metered for, what becomes of unknown parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

ASK = [{"role": "user", "content": "Is anybody home?"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def routes() -> dict[str, Any]:
    plain = {"deployments": [{"provider": "up", "model": "mock-chat"}], "retry": {"max_attempts": 1}}
    told = {
        "provider": "up", "model": "mock-chat", "context_window_tokens": 8192, "max_output_tokens": 1024,
        "price": {"input_per_million_usd": 2.5, "output_per_million_usd": 10},
    }  # fmt: skip
    return {
        "pass": plain,
        "drop": plain | {"unknown_parameters": "drop"},
        "strict": plain | {"unknown_parameters": "strict"},
        "told": {"deployments": [told]},
    }


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    config = config_text(upstream.base_url, routes=routes())
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        yield house


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.new_key("*")


def got(house: House, path: str, **headers: str) -> Any:
    status, _, body = house.call(
        "GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )
    assert status == 200, body
    return json.loads(body)


# -- models


def test_openais_sdk_gets_what_a_model_tells(house: House, key: str) -> None:
    with OpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0) as client:
        model = client.models.retrieve("told").to_dict()
        assert [model.id for model in client.models.list()] == ["pass", "drop", "strict", "told"]
    assert (model["context_window"], model["max_output_tokens"]) == (8192, 1024)
    assert model["pricing"]["prompt"] == "0.0000025"  # type: ignore[index]
    assert model["capabilities"]["tools"] is True  # type: ignore[index]


def test_anthropics_clients_get_their_shape(house: House, key: str) -> None:
    listed = got(house, "/v1/models?limit=1&after_id=drop", x_api_key=key, anthropic_version="2023-06-01")
    assert [model["id"] for model in listed["data"]] == ["strict"]
    assert (listed["has_more"], listed["last_id"]) == (True, "strict")
    one = got(house, "/v1/models/told", x_api_key=key, anthropic_version="2023-06-01")
    assert (one["type"], one["max_input_tokens"]) == ("model", 8192)


def test_googles_clients_get_their_shape(house: House, key: str) -> None:
    assert len(got(house, "/v1beta/models", x_goog_api_key=key)["models"]) == 4
    assert got(house, f"/v1beta/models/told?key={key}")["inputTokenLimit"] == 8192
    assert got(house, "/v1/models/told", x_goog_api_key=key)["name"] == "models/told"


def test_model_that_is_not_there_is_an_error_in_the_callers_shape(house: House, key: str) -> None:
    status, _, body = house.call(
        "GET", "/v1/models/nothing", headers={"x-api-key": key, "anthropic-version": "2023-06-01"}
    )
    assert (status, json.loads(body)["type"], json.loads(body)["error"]["type"]) == (
        404,
        "error",
        "not_found_error",
    )
    status, _, body = house.call("GET", "/v1beta/models/nothing", headers={"x-goog-api-key": key})
    assert (status, json.loads(body)["error"]["status"]) == (404, "NOT_FOUND")


# -- passthrough


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_passthrough_notes_usage_and_changes_nothing(
    house: House, key: str, upstream: ScriptedUpstream, is_stream: bool
) -> None:
    document: dict[str, Any] = {"model": "mock-chat", "messages": ASK}
    if is_stream:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps(document, indent=1).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    upstream.reset()
    status, out, answer = house.call("POST", "/passthrough/up/chat/completions", body, headers)
    assert status == 200
    assert upstream.received[0].body == body
    row = next(row for row in house.book() if row["id"] == out["x-request-id"])
    assert (row["operation"], row["model"], row["stream"]) == ("passthrough", "mock-chat", is_stream)
    assert (row["outcome"], row["finish_reason"], row["usage"]["source"]) == ("ok", "stop", "reported")
    said = answer.split(b"data: ")[-2] if is_stream else answer
    assert row["usage"]["output_tokens"] == json.loads(said)["usage"]["completion_tokens"] > 0


def test_passthrough_carries_an_answer_nobody_understands(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    upstream.script(fault="truncated_json")
    headers = {"authorization": f"Bearer {key}"}
    body = json.dumps({"model": "mock-chat", "messages": ASK}).encode()
    status, out, answer = house.call("POST", "/passthrough/up/chat/completions", body, headers)
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer)
    row = next(row for row in house.book() if row["id"] == out["x-request-id"])
    assert (row["outcome"], row["usage"]) == ("ok", None)


# -- unknown parameters, to an upstream of the caller's own API


def test_unknown_member_goes_through_byte_for_byte_by_default(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    body = b'{ "model":"pass","foo_2027" : {"a": [1,\t2]}, "messages":[{"role":"user","content":"hi"}] }'
    status, out, _ = house.call("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}"})
    assert status == 200
    assert upstream.received[0].body == body.replace(b'"pass"', b'"mock-chat"')
    assert "x-tollhouse-dropped" not in out


def test_unknown_member_is_left_out_and_named_where_the_route_says_drop(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    status, out, _ = house.chat(key, model="drop", foo_2027={"a": 1}, seed=7, bar=None)
    assert status == 200
    assert out["x-tollhouse-dropped"] == "foo_2027, bar"
    sent = upstream.received[0].json()
    assert set(sent) == {"model", "messages", "seed"}


def test_unknown_member_is_refused_before_anything_is_sent_where_the_route_says_strict(
    house: House, key: str, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    status, _, body = house.chat(key, model="strict", foo_2027=1)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "foo_2027")
    assert upstream.count == 0
    assert house.chat(key, model="strict", seed=7)[0] == 200
