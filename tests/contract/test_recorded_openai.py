"""Recorded OpenAI traffic through a real house: requests arrive unchanged, the SDK reads the same result."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import openai
import pytest
from openai import OpenAI, Stream
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from house import House, running_house

pytestmark = pytest.mark.corpus

APIS = {
    "openai_chat": ("/chat/completions", ChatCompletion, ChatCompletionChunk),
    "openai_completions": ("/completions", Completion, Completion),
    "openai_embeddings": ("/embeddings", CreateEmbeddingResponse, CreateEmbeddingResponse),
}
PLAIN: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "recorded", "messages": [{"role": "user", "content": "hello"}]},
    "openai_completions": {"model": "recorded", "prompt": "hello"},
    "openai_embeddings": {"model": "recorded", "input": "hello"},
}
"""For recordings whose request was not kept."""


UNREADABLE = {
    "openai_completions-8fced9979e5a-00": "the recorded answer is a stream, the request asked for none",
}
"""Recordings whose answer the SDK cannot read straight from the replay either; only their request is compared."""


def load_replay(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("replay_server", folder / "replay_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def replay(corpus: Path) -> Iterator[Any]:
    module = load_replay(corpus)
    with module.ReplayServer(module.load_corpus(str(corpus / "dev"), list(APIS))) as server:
        yield server


@pytest.fixture(scope="module")
def house(replay: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One provider and one route a recording, so that each call meets its own answer."""
    providers, routes = {}, {}
    for record in replay.records:
        providers[record["id"]] = {
            "kind": "openai", "base_url": f"{replay.url}/case/{record['id']}/v1", "credential": "env:UP_KEY",
        }  # fmt: skip
        deployment = {"provider": record["id"], "model": body_of(record)["model"]}
        routes[record["id"]] = {"deployments": [deployment], "retry": {"max_attempts": 1}}
    config = {"version": 1, "server": {"listen": "127.0.0.1:0"}, "providers": providers, "routes": routes}
    with running_house(tmp_path_factory.mktemp("recorded"), json.dumps(config)) as house:
        yield house


def body_of(record: dict[str, Any]) -> dict[str, Any]:
    if record["request_kind"] == "none":
        is_stream = record["response_kind"] == "sse"
        return {**PLAIN[record["api"]], **({"stream": True} if is_stream else {})}
    body: dict[str, Any] = record["request_body"]
    return body


def read(client: OpenAI, api: str, body: dict[str, Any]) -> Any:
    """What an application gets from the SDK: the documents it was given, or the error it had to catch."""
    path, whole, chunk = APIS[api]
    try:
        if body.get("stream"):
            stream = client.post(path, cast_to=whole, body=body, stream=True, stream_cls=Stream[chunk])  # type: ignore[valid-type]
            return [piece.model_dump(warnings=False) for piece in stream]
        return client.post(path, cast_to=whole, body=body).model_dump(warnings=False)  # type: ignore[attr-defined]
    except openai.APIStatusError as error:
        return type(error).__name__, error.status_code, theirs(error)
    except ValueError:
        return "unreadable"


def theirs(error: openai.APIStatusError) -> str:
    """The provider's own words in an error."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message"))


def without_unasked_usage(result: Any, body: dict[str, Any]) -> Any:
    """A recorded final usage frame is withheld from a caller that did not ask for it."""
    asked = (body.get("stream_options") or {}).get("include_usage")
    if isinstance(result, list) and not asked:
        return [chunk for chunk in result if chunk["choices"] or not chunk.get("usage")]
    return result


def test_every_recorded_call_goes_through_unchanged(
    replay: Any, house: House, record_property: Any, request: pytest.FixtureRequest
) -> None:
    key = house.new_key("*")
    ours = OpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0)
    counts: dict[str, int] = {}
    wrong: list[str] = []
    for record in replay.records:
        api, body = record["api"], body_of(record)
        straight = OpenAI(
            base_url=f"{replay.url}/case/{record['id']}/v1", api_key="sk-recorded", max_retries=0
        )
        expected = without_unasked_usage(read(straight, api, body), body)
        replay.reset()
        found = read(ours, api, {**body, "model": record["id"]})
        sent = [entry["body"] for entry in replay.sent]
        if json.dumps(sent) != json.dumps([with_usage_asked(body)]):
            wrong.append(f"{record['id']}: request changed: {json.dumps(sent)[:300]}")
        if record["id"] in UNREADABLE:
            assert expected == "unreadable"
        elif found != expected:
            wrong.append(
                f"{record['id']}: answer changed: {str(found)[:300]} instead of {str(expected)[:300]}"
            )
        counts[api] = counts.get(api, 0) + 1
    ours.close()
    record_property(
        "report", f"recorded OpenAI calls through the house, unchanged: {counts}; not compared: {UNREADABLE}"
    )
    assert not wrong, "\n".join(wrong)
    assert set(counts) == set(APIS)
    settled = [row["outcome"] for row in house.book(limit=len(replay.records) + 10)]
    assert len(settled) == len(replay.records)
    assert settled.count("ok") == sum(
        r["status"] == 200 and r["id"] not in UNREADABLE for r in replay.records
    )


def with_usage_asked(body: dict[str, Any]) -> dict[str, Any]:
    """The one member the house may add: usage is always asked for in streams."""
    if not body.get("stream"):
        return body
    options = body.get("stream_options") or {}
    return {**body, "stream_options": {**options, "include_usage": True}}
