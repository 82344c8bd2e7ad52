"""Usage at the passthrough door: read where the path is known, and never a reason for anything to go wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.config.snapshot import Upstream
from tollhouse.core.usage import UsageSource
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import Reading
from tollhouse.stages.translate import meter_of
from tollhouse.stages.translate.metering import _LARGEST_BODY_BYTES, PassthroughMeter
from tollhouse.wire.aws_eventstream import encode

PLUGINS = load_plugins([])
CONFIG = """
version: 1
providers:
  openai: {kind: openai, credential: env:A}
  claude: {kind: anthropic, credential: env:A}
  gemini: {kind: gemini, credential: env:A}
  azure: {kind: azure_openai, credential: env:A, base_url: "https://r.openai.azure.com"}
  bedrock: {kind: bedrock_anthropic, credential: env:A, region: eu-central-1}
"""
UPSTREAMS = compile_config(load(CONFIG), PLUGINS.providers).providers
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
CLAUDE = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
ANSWER = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"length"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)
FRAMES = (
    b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
    b"data: [DONE]\n\n"
)
BEGUN = (
    b"event: message_start\n"
    b'data: {"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}\n\n'
)
JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


def upstream(name: str) -> Upstream:
    return UPSTREAMS[name]


def meter(
    name: str, path: str, body: Any, *, method: str = "POST", query: str = ""
) -> PassthroughMeter | None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return meter_of(method, path, query, {}, raw, upstream(name), PLUGINS.dialects)


def read(found: PassthroughMeter | None, kind: bytes, *pieces: bytes, is_whole: bool = True) -> Reading:
    assert found is not None
    found.begin(kind)
    for piece in pieces:
        found.see(piece)
    if is_whole:
        found.see(b"")
    return found.reading


def tokens(reading: Reading) -> tuple[int, int] | None:
    usage = reading.usage
    return None if usage is None else (usage.input_tokens, usage.output_tokens)


def test_unary_answer_is_read_at_its_end() -> None:
    reading = read(meter("openai", "chat/completions", CHAT), JSON, ANSWER[:40], ANSWER[40:])
    assert (tokens(reading), reading.finish_reason) == ((3, 2), "length")


@given(st.integers(1, 60))
def test_stream_is_read_however_it_is_split(size: int) -> None:
    pieces = [FRAMES[at : at + size] for at in range(0, len(FRAMES), size)]
    reading = read(meter("openai", "chat/completions", CHAT | {"stream": True}), EVENTS, *pieces)
    assert (tokens(reading), reading.finish_reason) == ((3, 2), "stop")


def test_model_and_stream_are_what_the_call_says() -> None:
    found = meter("openai", "chat/completions", CHAT | {"stream": True})
    assert found is not None
    assert (found.call.model, found.call.is_stream) == ("gpt-4o", True)


@pytest.mark.parametrize(
    ("name", "path", "body", "model", "is_stream"),
    [
        ("claude", "v1/messages", CLAUDE, "claude", False),
        ("claude", "v1/messages", CLAUDE | {"stream": True}, "claude", True),
        ("gemini", "v1beta/models/gemini-x:generateContent", GEMINI, "gemini-x", False),
        ("gemini", "v1beta/models/gemini-x:streamGenerateContent", GEMINI, "gemini-x", True),
        ("gemini", "v1beta/models/tuned%2Fx:generateContent", GEMINI, "tuned/x", False),
        ("gemini", "v1beta/models/e:embedContent", {"content": {"parts": [{"text": "hi"}]}}, "e", False),
        ("azure", "openai/deployments/mine/chat/completions", CHAT, "mine", False),
        ("bedrock", "model/eu.claude/invoke", CLAUDE, "eu.claude", False),
        ("bedrock", "model/eu.claude/invoke-with-response-stream", CLAUDE, "eu.claude", True),
        ("openai", "embeddings", {"model": "e", "input": "hi"}, "e", False),
        ("openai", "responses", {"model": "r", "input": "hi"}, "r", False),
    ],
)
def test_endpoints_of_every_form_are_known(
    name: str, path: str, body: Any, model: str, is_stream: bool
) -> None:
    found = meter(name, path, body)
    assert found is not None
    assert (found.call.model, found.call.is_stream) == (model, is_stream)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "chat/completions", b""),
        ("POST", "images/generations", CHAT),
        ("POST", "x/chat/completions", CHAT),
        ("POST", "chat/completions/1", CHAT),
        ("POST", "chat/completions", b"not json"),
        ("POST", "chat/completions", b""),
        ("POST", "chat/completions", {"messages": []}),
        ("POST", "chat/completions", b"[" * 100_000),
    ],
)
def test_what_is_no_call_of_an_endpoint_has_no_meter(method: str, path: str, body: Any) -> None:
    assert meter("openai", path, body, method=method) is None


def test_stream_of_bedrocks_messages_is_unwrapped() -> None:
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]
    wrapped = [
        encode(
            {":event-type": "chunk", ":message-type": "event"},
            json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode(),
        )
        for event in events
    ]
    found = meter("bedrock", "model/eu.claude/invoke-with-response-stream", CLAUDE)
    reading = read(found, b"application/vnd.amazon.eventstream", *wrapped)
    assert (tokens(reading), reading.finish_reason) == ((7, 4), "end_turn")


def test_stream_of_gemini_may_be_an_array() -> None:
    body = json.dumps(
        [
            {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
             "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}},
        ]
    ).encode()  # fmt: skip
    reading = read(meter("gemini", "v1beta/models/g:streamGenerateContent", GEMINI), JSON, body)
    assert tokens(reading) == (3, 2)


def test_stream_that_is_cut_has_what_came_of_it() -> None:
    call = CLAUDE | {"stream": True}
    for is_whole in (True, False):
        reading = read(meter("claude", "v1/messages", call), EVENTS, BEGUN, is_whole=is_whole)
        assert reading.usage is not None
        assert (reading.usage.input_tokens, reading.usage.source) == (7, UsageSource.PARTIAL)


def test_stream_that_turns_bad_keeps_what_was_good() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
    reading = read(meter("claude", "v1/messages", CLAUDE | {"stream": True}), EVENTS, BEGUN, error, BEGUN)
    assert reading.usage is not None
    assert reading.usage.input_tokens == 7


def test_unary_answer_that_is_cut_says_nothing() -> None:
    assert read(meter("openai", "chat/completions", CHAT), JSON, ANSWER, is_whole=False) == Reading()


def test_whole_answer_to_a_call_for_a_stream_is_read_as_one() -> None:
    reading = read(meter("openai", "chat/completions", CHAT | {"stream": True}), JSON, ANSWER)
    assert tokens(reading) == (3, 2)


def test_answer_beyond_the_bound_is_not_held() -> None:
    found = meter("openai", "chat/completions", CHAT)
    assert found is not None
    found.begin(JSON)
    piece = b" " * (1024 * 1024)
    for _ in range(_LARGEST_BODY_BYTES // len(piece) + 1):
        found.see(piece)
    assert found._body is None
    found.see(ANSWER)
    found.see(b"")
    assert found.reading == Reading()


@given(st.binary(max_size=300), st.sampled_from([JSON, EVENTS, b"", b"text/html"]), st.booleans())
def test_no_answer_makes_it_raise(data: bytes, kind: bytes, is_stream: bool) -> None:
    for name, path, body in (
        ("openai", "chat/completions", CHAT | {"stream": is_stream}),
        ("claude", "v1/messages", CLAUDE | {"stream": is_stream}),
        ("gemini", f"v1beta/models/g:{'streamG' if is_stream else 'g'}enerateContent", GEMINI),
    ):
        read(meter(name, path, body), kind, data[:7], data[7:])
