"""A provider that fails in every way the mock knows: the SDK raises the right class, never a short success.

No row says `ok` for a call that failed, and no socket to the provider is left open.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream, refused_port

ASK: Any = [{"role": "user", "content": "count to ten please, slowly and in words"}]
SHORT_CLOCKS = {
    "connect_s": 1,
    "tls_s": 1,
    "first_header_s": 0.5,
    "first_token_s": 0.5,
    "idle_s": 0.5,
    "total_s": 20,
}
NEVER_OPENS = {"consecutive_failures": 1000, "minimum_calls": 100_000}
"""A provider that fails in test after test is still asked in each."""
Script = dict[str, Any]

BEFORE_ANSWER: list[tuple[str, Script, type[openai.APIStatusError], int, str]] = [
    ("reset", {"fault": "reset"}, openai.InternalServerError, 502, "upstream_unavailable"),
    ("close", {"fault": "close"}, openai.InternalServerError, 502, "upstream_unavailable"),
    ("stall", {"fault": "stall", "stall_s": 10}, openai.InternalServerError, 504, "timeout_first_header"),
    ("garbage", {"fault": "garbage"}, openai.InternalServerError, 502, "upstream_invalid_response"),
    ("500", {"status": 500}, openai.InternalServerError, 502, "upstream_unavailable"),
    ("503", {"status": 503}, openai.InternalServerError, 502, "upstream_unavailable"),
    ("429", {"status": 429, "retry_after_s": 7}, openai.RateLimitError, 429, "upstream_rate_limited"),
    ("400", {"status": 400}, openai.BadRequestError, 400, "invalid_request"),
    ("422", {"status": 422}, openai.UnprocessableEntityError, 422, "invalid_request"),
    ("404", {"status": 404}, openai.NotFoundError, 404, "route_not_found"),
    (
        "overflow",
        {"status": 400, "code": "context_length_exceeded"},
        openai.BadRequestError,
        400,
        "context_length_exceeded",
    ),
    ("html", {"fault": "html"}, openai.InternalServerError, 502, "upstream_invalid_response"),
    ("empty", {"fault": "empty"}, openai.InternalServerError, 502, "upstream_invalid_response"),
    ("truncated", {"fault": "truncated_json"}, openai.InternalServerError, 502, "upstream_invalid_response"),
]
UNARY = [
    *BEFORE_ANSWER,
    ("error in 200", {"fault": "error_in_200"}, openai.APIStatusError, 0, ""),
    ("cut", {"fault": "cut"}, openai.InternalServerError, 502, "upstream_unavailable"),
    ("reset midway", {"fault": "reset_midway"}, openai.InternalServerError, 502, "upstream_unavailable"),
    ("json tail", {"fault": "json_tail"}, openai.InternalServerError, 502, "upstream_invalid_response"),
]
UNBEGUN = [case for case in BEFORE_ANSWER if case[0] != "truncated"]
"""In a stream, JSON that breaks off is an event among others: its status is out by then."""
MIDWAY: list[tuple[str, Script]] = [
    ("cut", {"fault": "cut", "after_chunks": 2}),
    ("reset", {"fault": "reset_midway", "after_chunks": 2}),
    ("stall", {"fault": "stall_midway", "after_chunks": 2, "stall_s": 10}),
    ("error frame", {"fault": "error_midway", "after_chunks": 2}),
    ("no terminal event", {"fault": "no_terminal"}),
    ("json tail", {"fault": "json_tail", "after_chunks": 2}),
    ("wrong length", {"fault": "wrong_length", "after_chunks": 2}),
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def nobody() -> Iterator[int]:
    with refused_port() as port:
        yield port


@pytest.fixture(scope="module")
def house(
    upstream: ScriptedUpstream, nobody: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    def route(*providers: str, attempts: int = 1, **more: Any) -> dict[str, Any]:
        deployments = [{"provider": name, "model": "mock-chat"} for name in providers]
        return {
            "deployments": deployments,
            "retry": {"max_attempts": attempts},
            "timeouts": SHORT_CLOCKS,
            **more,
        }

    kind = {"kind": "openai_compatible", "credential": "env:UP_KEY", "breaker": NEVER_OPENS}
    config = config_text(
        upstream.base_url,
        providers={
            "up": {**kind, "base_url": upstream.base_url},
            "spare": {**kind, "base_url": upstream.base_url},
            "gone": {**kind, "base_url": f"http://127.0.0.1:{nobody}/v1"},
        },
        routes={
            "gpt": route("up"),
            "retried": route("up", attempts=3),
            "twice": route("up", "spare", attempts=2),
            "refused": route("gone"),
            "refused-then-up": route("gone", "up", attempts=2),
            "hasty": route("up", attempts=3)
            | {"timeouts": {**SHORT_CLOCKS, "first_header_s": 5, "total_s": 0.5}},
            "careful": {**route("up"), "retry": {"max_attempts": 3, "replay": "never"}},
        },
    )
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        yield house


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{house.url}/v1", api_key=house.new_key("*"), max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def fresh(upstream: ScriptedUpstream) -> Iterator[None]:
    upstream.reset()
    upstream.forget_scripts()
    yield
    open_ones = upstream.open_connections
    assert open_ones <= 8, "only pooled connections may be left"


def ask(client: OpenAI, model: str = "gpt", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=ASK, **more)


def code(error: openai.APIError) -> str:
    assert isinstance(error.body, dict)
    return str(error.body["code"])


def row_of(house: House, error: openai.APIError) -> dict[str, Any]:
    assert isinstance(error.body, dict)
    wanted = error.body["request_id"]
    return next(row for row in house.book(100) if row["id"] == wanted)


@pytest.mark.parametrize(
    ("script", "kind", "status", "expected"), [case[1:] for case in UNARY], ids=[case[0] for case in UNARY]
)
def test_unary_call_to_a_failing_provider_raises(
    house: House,
    client: OpenAI,
    upstream: ScriptedUpstream,
    script: Script,
    kind: type[openai.APIStatusError],
    status: int,
    expected: str,
) -> None:
    upstream.script(**script)
    with pytest.raises(kind) as caught:
        ask(client)
    if status:
        assert (caught.value.status_code, code(caught.value)) == (status, expected)
    row = row_of(house, caught.value)
    assert row["outcome"] in ("upstream_error", "timeout")
    assert [attempt["outcome"] for attempt in row["attempts"]] == [row["outcome"]]
    assert upstream.count == 1


@pytest.mark.parametrize(
    ("script", "kind", "status", "expected"),
    [case[1:] for case in UNBEGUN],
    ids=[case[0] for case in UNBEGUN],
)
def test_stream_that_cannot_begin_raises_like_a_unary_call(
    house: House,
    client: OpenAI,
    upstream: ScriptedUpstream,
    script: Script,
    kind: type[openai.APIStatusError],
    status: int,
    expected: str,
) -> None:
    upstream.script(**script)
    with pytest.raises(kind) as caught:
        list(ask(client, stream=True))
    assert (caught.value.status_code, code(caught.value)) == (status, expected)
    assert row_of(house, caught.value)["outcome"] in ("upstream_error", "timeout")


@pytest.mark.parametrize("script", [case[1] for case in MIDWAY], ids=[case[0] for case in MIDWAY])
def test_stream_that_breaks_raises_after_what_came_before(
    house: House, client: OpenAI, upstream: ScriptedUpstream, script: Script
) -> None:
    upstream.script(chunk_delay_s=0.05, **script)  # so that the first words are on their way before the fault
    text, ended = "", False
    with pytest.raises(openai.APIError) as caught:
        for chunk in ask(client, stream=True):
            text += chunk.choices[0].delta.content or ""
            ended = ended or chunk.choices[0].finish_reason is not None
    assert text
    assert not ended
    row = row_of(house, caught.value)
    assert row["outcome"] in ("upstream_error", "timeout")
    assert row["status"] == 200
    assert row["attempts"][0]["is_estimated"] is True
    assert code(caught.value) == row["error"]


def test_event_of_broken_json_ends_the_stream_with_an_error(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(fault="truncated_json")
    with pytest.raises(openai.APIError) as caught:
        list(ask(client, stream=True))
    assert code(caught.value) == "upstream_invalid_response"


def test_error_frame_before_content_is_a_real_status(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(fault="error_in_200")
    with pytest.raises(openai.APIStatusError) as caught:
        list(ask(client, stream=True))
    assert caught.value.status_code >= 400


@pytest.mark.parametrize("is_stream", [False, True])
def test_trickling_provider_is_waited_for(
    client: OpenAI, upstream: ScriptedUpstream, is_stream: bool
) -> None:
    upstream.script(fault="trickle", chunk_delay_s=0.0005, chunks=3)
    answer = ask(client, stream=is_stream)
    reasons = (
        [chunk.choices[0].finish_reason for chunk in answer]
        if is_stream
        else [answer.choices[0].finish_reason]
    )
    assert reasons[-1] == "stop"


def test_refused_connection_is_told_as_such(house: House, client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, "refused")
    assert code(caught.value) == "upstream_unavailable"
    assert row_of(house, caught.value)["attempts"][0]["is_estimated"] is False


def test_rate_limit_keeps_the_providers_retry_after(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(status=429, retry_after_s=7)
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["retry-after"] == "7"


def test_credential_refused_upstream_is_the_operators_to_mend(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.script(status=401, message="Incorrect API key provided: sk-upstream-canary-7Q2xk9ZrTf3LmB8v.")
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(client)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["source"] in ("upstream", "gateway")
    assert code(caught.value) == "upstream_unavailable"
    assert "sk-upstream-canary" not in json.dumps(caught.value.body)


@pytest.mark.parametrize(
    "script", [{"status": 500}, {"status": 503}, {"status": 408}, {"fault": "reset"}, {"fault": "close"}]
)
def test_call_that_may_be_repeated_is_and_answers(
    house: House, client: OpenAI, upstream: ScriptedUpstream, script: Script
) -> None:
    upstream.script(**script)
    raw = client.chat.completions.with_raw_response.create(model="retried", messages=ASK)
    assert raw.headers["x-tollhouse-attempts"] == "2"
    row = next(row for row in house.book(50) if row["id"] == raw.headers["x-request-id"])
    assert row["outcome"] == "ok"
    assert [attempt["outcome"] for attempt in row["attempts"]] == ["upstream_error", "ok"]
    assert row["attempts"][0]["is_estimated"] is ("fault" in script)


@pytest.mark.parametrize(
    "script",
    [
        {"status": 400},
        {"status": 401},
        {"status": 404},
        {"fault": "html"},
        {"fault": "cut"},
        {"fault": "stall"},
    ],
)
def test_call_that_may_not_be_repeated_is_made_once(
    client: OpenAI, upstream: ScriptedUpstream, script: Script
) -> None:
    upstream.always(**script)
    with pytest.raises(openai.APIStatusError):
        ask(client, "retried")
    assert upstream.count == 1


def test_uncertain_call_is_not_replayed_where_the_operator_forbids_it(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.always(fault="reset")
    with pytest.raises(openai.InternalServerError):
        ask(client, "careful")
    assert upstream.count == 1


def test_attempts_never_exceed_their_budget(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.always(status=500)
    with pytest.raises(openai.InternalServerError):
        ask(client, "retried")
    assert upstream.count == 3


def test_second_candidate_answers_for_the_first(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="refused-then-up", messages=ASK)
    assert raw.headers["x-tollhouse-deployment"] == "up/mock-chat"


@pytest.mark.parametrize(
    "script", [{"fault": "html"}, {"fault": "error_in_200"}, {"fault": "cut", "after_chunks": 0}]
)
def test_stream_that_fails_before_content_moves_to_the_next_candidate_unseen(
    client: OpenAI, upstream: ScriptedUpstream, script: Script
) -> None:
    upstream.script(**script)
    chunks = list(ask(client, "twice", stream=True))
    assert sum(chunk.choices[0].delta.role is not None for chunk in chunks) == 1
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert upstream.count == 2


def test_total_clock_ends_a_call_that_others_would_let_go_on(
    house: House, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.always(fault="stall", stall_s=10)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, "hasty")
    assert (caught.value.status_code, code(caught.value)) == (504, "timeout_total")
    assert row_of(house, caught.value)["outcome"] == "timeout"


def test_first_token_clock_names_itself(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(first_token_delay_s=5)
    with pytest.raises(openai.APIError) as caught:
        list(ask(client, stream=True))
    assert code(caught.value) == "timeout_first_token"


def test_idle_clock_names_itself(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(fault="stall_midway", after_chunks=1, stall_s=10)
    with pytest.raises(openai.APIError) as caught:
        list(ask(client, stream=True))
    assert code(caught.value) == "timeout_idle"


def open_files(house: House) -> int:
    (worker,) = house.worker_pids()
    return len(list(Path(f"/proc/{worker}/fd").iterdir()))


def gauge(house: House, name: str) -> float:
    text = house.call("GET", "/metrics")[2].decode()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


def test_nothing_is_left_of_calls_that_failed(
    house: House, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    """Every fault, unary and streamed: afterwards the serving process has the sockets and tasks it had before."""
    ask(client)
    files, tasks = open_files(house), gauge(house, "tollhouse_tasks")
    scripts = [case[1] for case in UNARY] + [case[1] for case in MIDWAY if case[0] != "stall"]
    for script in scripts:
        for is_stream in (False, True):
            upstream.script(**script)
            with contextlib.suppress(openai.APIError):
                answer = ask(client, stream=is_stream)
                if is_stream:
                    list(answer)
    end = time.monotonic() + 10
    while (open_files(house), gauge(house, "tollhouse_tasks")) > (files, tasks) and time.monotonic() < end:
        time.sleep(0.05)
    assert open_files(house) <= files
    assert gauge(house, "tollhouse_tasks") <= tasks
    assert not [
        row for row in house.book(len(scripts) * 2) if row["outcome"] == "ok" and row["error"] is not None
    ]
