from __future__ import annotations

import base64
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.operation import Operation
from tollhouse.providers.mock import answers
from tollhouse.providers.mock.questions import Question
from tollhouse.providers.mock.script import Script


def ask(prompt: str = "hello world", **fields: Any) -> Question:
    return Question(
        **(
            {"number": 7, "operation": Operation.CHAT, "model": "m", "prompts": [prompt], "prompt_tokens": 2}
            | fields
        )
    )


def unary(question: Question, script: Script | None = None) -> dict[str, Any]:
    return msgspec.json.decode(answers.unary(question, script or Script()))


def frames(question: Question, script: Script | None = None) -> list[Any]:
    content = answers.content_of(question, script or Script())
    parts = [
        *answers.opening_frames(question),
        *answers.content_frames(question, content),
        *answers.closing_frames(question, content),
    ]
    lines = b"".join(parts).split(b"\n\n")
    assert lines.pop() == b""
    assert all(line.startswith(b"data: ") for line in lines)
    assert lines.pop() == b"data: [DONE]"
    return [msgspec.json.decode(line.removeprefix(b"data: ")) for line in lines]


def test_chat_echoes_the_prompt_and_counts_words():
    answer = unary(ask())
    choice = answer["choices"][0]
    assert (answer["id"], answer["object"], answer["model"]) == ("chatcmpl-mock-7", "chat.completion", "m")
    assert choice["message"]["content"] == "Mock answer to: hello world"
    assert choice["finish_reason"] == "stop"
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 5, 7)


def test_answer_says_so_when_there_was_nothing_to_echo():
    assert unary(ask("  "))["choices"][0]["message"]["content"] == "Mock answer to nothing."


def test_echo_is_bounded_when_the_prompt_is_long():
    assert len(unary(ask("x" * 10_000))["choices"][0]["message"]["content"]) < 300


def test_answer_stops_at_the_callers_limit_and_says_length():
    answer = unary(ask(max_tokens=2))
    assert answer["choices"][0]["message"]["content"] == "Mock answer"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


def test_script_is_stronger_than_the_callers_limit():
    assert unary(ask(max_tokens=2), Script(chunks=9))["usage"]["completion_tokens"] == 9


def test_stream_begins_with_the_role_and_ends_with_a_reason():
    chunks = frames(ask())
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0] == {"index": 0, "logprobs": None, "finish_reason": "stop", "delta": {}}
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks[:-1])
    assert all("usage" not in chunk for chunk in chunks)


def test_stream_reports_usage_last_and_null_before_when_it_is_asked():
    chunks = frames(ask(wants_usage=True))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == unary(ask())["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


@given(
    prompt=st.text(max_size=60),
    operation=st.sampled_from([Operation.CHAT, Operation.TEXT_COMPLETION]),
    count=st.none() | st.integers(0, 40),
    size=st.none() | st.integers(1, 30),
    choices=st.integers(1, 3),
    tool=st.none() | st.just("weather"),
)
def test_stream_says_the_same_as_the_unary_answer(prompt, operation, count, size, choices, tool):
    tool = tool if operation is Operation.CHAT else None
    question = ask(prompt, operation=operation, choices=choices, forced_tool=tool)
    script = Script(chunks=count, chunk_bytes=size)
    whole = unary(question, script)["choices"]
    said = [""] * choices
    for chunk in frames(question, script):
        for choice in chunk["choices"]:
            delta = choice.get("delta", {})
            called = delta.get("tool_calls", [{}])[0].get("function", {}).get("arguments")
            said[choice["index"]] += choice.get("text") or called or delta.get("content") or ""
    for choice in whole:
        message = choice.get("message", {})
        if tool is not None:
            assert said[choice["index"]] == message["tool_calls"][0]["function"]["arguments"]
            assert msgspec.json.decode(said[choice["index"]]) == {"echo": prompt}
        else:
            assert said[choice["index"]] == choice.get("text", message.get("content"))


@given(st.integers(0, 50), st.integers(1, 40), st.text(max_size=30))
def test_content_has_exactly_the_chunks_and_bytes_of_the_script(count: int, size: int, prompt: str):
    pieces = answers.content_of(ask(prompt), Script(chunks=count, chunk_bytes=size)).pieces
    assert [len(piece.encode()) for piece in pieces] == [size] * count


def test_forced_tool_is_called_with_a_reason_that_says_so():
    choice = unary(ask(forced_tool="weather"))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "weather"


def test_forced_tool_is_named_in_the_first_chunk_of_a_stream():
    called = frames(ask(forced_tool="weather"))[0]["choices"][0]["delta"]["tool_calls"][0]
    assert called["function"] == {"name": "weather", "arguments": ""}
    assert called["index"] == 0


def test_embeddings_are_unit_vectors_that_hang_on_the_text_alone():
    question = ask(operation=Operation.EMBEDDINGS, prompts=["a", "b", "a"], dimensions=5)
    answer = unary(question)
    vectors = [entry["embedding"] for entry in answer["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(math.isclose(sum(x * x for x in vector), 1) for vector in vectors)
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_embeddings_in_base64_are_the_same_numbers():
    question = ask(operation=Operation.EMBEDDINGS, dimensions=4)
    plain = unary(question)["data"][0]["embedding"]
    packed = unary(msgspec.structs.replace(question, wants_base64=True))["data"][0]["embedding"]
    assert struct.unpack("<4f", base64.b64decode(packed)) == pytest.approx(plain, rel=1e-6)


def test_models_begin_with_the_chat_model():
    listed = unary(ask(operation=Operation.LIST_MODELS))["data"]
    assert [model["id"] for model in listed] == ["mock-chat", "mock-completion", "mock-embedding"]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", "server_error"),
        (529, "server_error", "server_error"),
    ],
)
def test_error_has_openais_shape_and_the_usual_words(status: int, kind: str, code: str | None):
    error = msgspec.json.decode(answers.error_body(status))["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, None)
    assert str(status) in error["message"]
