"""The doors that have streams, in plain HTTP: how each asks for one, and how one is read to its end or its error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tollhouse.wire.aws_eventstream import MessageSplitter

_TURN = [{"role": "user", "content": "hi"}]
_GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@dataclass(frozen=True)
class Heard:
    """What a caller has of a stream."""

    text: str
    is_whole: bool
    """Whether the terminal event came."""
    error: str | None
    """The message of the error the stream ended with: that event was its last."""


@dataclass(frozen=True)
class Door:
    name: str
    dialect: str
    path: str
    ask: dict[str, Any]
    content_type: str
    read: Callable[[bytes], Heard]

    @property
    def model(self) -> str:
        return "text" if self.dialect == "openai_completions" else "gpt"


def _events(body: bytes) -> list[Any]:
    """The data of server-sent events. Fails where there is anything but whole events and comments."""
    found = []
    assert body.endswith(b"\n\n"), "the last event is whole"
    for block in body.decode().split("\n\n")[:-1]:
        lines = [line.partition(":") for line in block.split("\n")]
        assert {name for name, _, _ in lines} <= {"", "id", "event", "data"}, block
        data = [value.removeprefix(" ") for name, _, value in lines if name == "data"]
        if data:
            found.append(data[0] if data[0] == "[DONE]" else json.loads("".join(data)))
    return found


def _chat(body: bytes) -> Heard:
    events = _events(body)
    last = events[-1]
    chunks = [event for event in events if isinstance(event, dict) and "choices" in event]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join([choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices])
    error = last.get("error", {}).get("message") if isinstance(last, dict) else None
    return Heard(text, last == "[DONE]" and any(choice["finish_reason"] for choice in choices), error)


def _responses(body: bytes) -> Heard:
    events = _events(body)
    text = "".join([event["delta"] for event in events if event["type"] == "response.output_text.delta"])
    last = events[-1]
    error = last["response"]["error"]["message"] if last["type"] == "response.failed" else None
    return Heard(text, last["type"] == "response.completed", error)


def _messages(body: bytes) -> Heard:
    events = _events(body)
    text = "".join(
        [event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"]
    )
    last = events[-1]
    error = last["error"]["message"] if last["type"] == "error" else None
    return Heard(text, last["type"] == "message_stop", error)


def _gemini(chunks: list[Any]) -> Heard:
    parts = [
        part for chunk in chunks for one in chunk.get("candidates", []) for part in one["content"]["parts"]
    ]
    finishes = [one.get("finishReason") for one in chunks[-1].get("candidates", [])]
    error = chunks[-1].get("error", {}).get("message")
    return Heard("".join([part["text"] for part in parts]), any(finishes), error)


def _converse(body: bytes) -> Heard:
    splitter = MessageSplitter(10**6)
    messages = splitter.feed(body)
    assert splitter.tail == b""
    named = [(message.headers, json.loads(message.payload)) for message in messages]
    deltas = [said["delta"]["text"] for headers, said in named if "delta" in said]
    headers, last = named[-1]
    is_error = headers[":message-type"] == "exception"
    is_whole = any(headers.get(":event-type") == "messageStop" for headers, _ in named)
    return Heard("".join(deltas), is_whole, last["message"] if is_error else None)


def _cohere(body: bytes) -> Heard:
    events = [event for event in _events(body) if event != "[DONE]"]
    text = "".join(
        [event["delta"]["message"]["content"]["text"] for event in events if event["type"] == "content-delta"]
    )
    last = events[-1]
    assert last["type"] == "message-end"
    is_error = last["delta"]["finish_reason"] == "ERROR"
    return Heard(text, not is_error, last["delta"]["error"] if is_error else None)


_EVENTS = "text/event-stream"
_MODEL = {"model": "gpt", "stream": True}
_STREAM_GENERATE = "/v1beta/models/gpt:streamGenerateContent"
DOORS = [
    Door("chat", "openai_chat", "/v1/chat/completions", {**_MODEL, "messages": _TURN}, _EVENTS, _chat),
    Door(
        "completions", "openai_completions", "/v1/completions",
        {"model": "text", "stream": True, "prompt": "hi"}, _EVENTS, _chat,
    ),
    Door(
        "responses", "openai_responses", "/v1/responses",
        {**_MODEL, "input": "hi", "store": False}, _EVENTS, _responses,
    ),
    Door(
        "messages", "anthropic_messages", "/v1/messages",
        {**_MODEL, "messages": _TURN, "max_tokens": 99}, _EVENTS, _messages,
    ),
    Door(
        "gemini", "gemini_generate", f"{_STREAM_GENERATE}?alt=sse",
        _GEMINI, _EVENTS, lambda body: _gemini(_events(body)),
    ),
    Door(
        "gemini-array", "gemini_generate", _STREAM_GENERATE,
        _GEMINI, "application/json", lambda body: _gemini(json.loads(body)),
    ),
    Door(
        "converse", "bedrock_converse", "/model/gpt/converse-stream",
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        "application/vnd.amazon.eventstream", _converse,
    ),
    Door("cohere", "cohere_chat", "/v2/chat", {**_MODEL, "messages": _TURN}, _EVENTS, _cohere),
]  # fmt: skip
