"""Streams between Gemini's callers and Gemini: watched, and framed anew where an array is wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.usage import UsageSource
from tollhouse.dialects.gemini_generate import DIALECT
from tollhouse.ports.dialect import Ask, StreamTap


def tap(query: str = "alt=sse") -> StreamTap:
    call = DIALECT.read(
        Ask(operation=Operation.CHAT, body=b'{"contents":[]}', path_model="g", path_stream=True, query=query)
    )
    return DIALECT.tap_stream(call)


def chunk(text: str, finish: str | None = None, **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}}
    if finish:
        candidate["finishReason"] = finish
    return b"data: " + json.dumps({"candidates": [candidate], **more}).encode() + b"\r\n\r\n"


USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
STREAM = chunk("He") + b": beat\r\n\r\n" + chunk("llö") + chunk("", "STOP", usageMetadata=USAGE)


@given(step=st.integers(1, 60))
def test_bytes_go_through_as_they_came_however_they_were_split(step: int) -> None:
    watching = tap()
    out = b"".join([watching.feed(STREAM[start : start + step]) for start in range(0, len(STREAM), step)])
    reading = watching.end()
    assert out + watching.salvage == STREAM
    assert reading.finish_reason == "STOP"
    assert reading.usage is not None
    assert (reading.usage.source, reading.usage.output_tokens) == (UsageSource.REPORTED, 4)
    assert (watching.has_content, watching.progress) == (True, 3)


@given(step=st.integers(1, 60))
def test_callers_without_alt_sse_get_an_array(step: int) -> None:
    watching = tap("")
    out = b"".join([watching.feed(STREAM[start : start + step]) for start in range(0, len(STREAM), step)])
    watching.end()
    texts = [
        item["candidates"][0]["content"]["parts"][0]["text"] for item in json.loads(out + watching.salvage)
    ]
    assert texts == ["He", "llö", ""]


def test_the_last_event_may_lack_its_empty_line() -> None:
    for query in ("alt=sse", ""):
        watching = tap(query)
        out = watching.feed(STREAM.rstrip())
        watching.end()
        out += watching.salvage
        assert out == STREAM.rstrip() if query else json.loads(out)


def test_until_it_is_whole_the_usage_is_partial() -> None:
    watching = tap()
    watching.feed(chunk("a", usageMetadata=USAGE))
    assert watching.reading.usage is not None
    assert watching.reading.usage.source is UsageSource.PARTIAL
    with pytest.raises(GatewayError) as told:
        watching.end()
    assert told.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_an_error_ends_the_stream_and_what_came_before_is_kept() -> None:
    bad = b'data: {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}\n\n'
    for query, salvage in (("alt=sse", chunk("a")), ("", b"[" + chunk("a")[6:-4])):
        watching = tap(query)
        with pytest.raises(GatewayError, match="slow down") as told:
            watching.feed(chunk("a") + bad + chunk("b"))
        assert told.value.kind is ErrorKind.UPSTREAM_RATE_LIMITED
        assert watching.salvage == salvage


def test_a_blocked_prompt_is_a_whole_answer() -> None:
    watching = tap()
    watching.feed(b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n')
    assert watching.end().finish_reason == "SAFETY"
    assert watching.has_content


def test_every_candidate_must_have_ended() -> None:
    watching = tap()
    watching.feed(b'data: {"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1}]}\n\n')
    with pytest.raises(GatewayError):
        watching.end()


def test_thoughts_are_content_and_signatures_alone_are_not() -> None:
    watching = tap()
    watching.feed(
        b'data: {"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "x"}]}}]}\n\n'
    )
    assert not watching.has_content
    watching.feed(b'data: {"candidates": [{"content": {"parts": [{"text": "a", "thought": true}]}}]}\n\n')
    assert watching.has_content


def test_half_a_surrogate_pair_is_no_fault() -> None:
    watching = tap()
    data = b'data: {"candidates": [{"content": {"parts": [{"text": "\\ud83d"}]}, "finishReason": 1}]}\n\n'
    assert watching.feed(data) == data
    assert watching.end().finish_reason == "STOP"


def test_whole_answers_are_judged() -> None:
    body = json.dumps({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": USAGE}).encode()
    reading = DIALECT.tap_unary(body, Operation.CHAT)
    assert reading.finish_reason == "MAX_TOKENS"
    assert reading.usage is not None
    assert reading.usage.source is UsageSource.REPORTED
    DIALECT.tap_unary(b'{"totalTokens": 3}', Operation.COUNT_TOKENS)
    with pytest.raises(GatewayError):
        DIALECT.tap_unary(b'{"promptTokensDetails": []}', Operation.COUNT_TOKENS)
