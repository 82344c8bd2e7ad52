"""What an upstream says in each of the four dialects that stream events, and what a client has to find in it.

Written from the providers' references and without the house's own code, so that neither can hide the other's mistakes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

CHAT = "openai_chat"
RESPONSES = "openai_responses"
ANTHROPIC = "anthropic_messages"
GEMINI = "gemini_generate"
DIALECTS = (CHAT, RESPONSES, ANTHROPIC, GEMINI)

KIND = {CHAT: "openai", RESPONSES: "openai", ANTHROPIC: "anthropic", GEMINI: "gemini"}
"""The kind of provider that speaks it."""
EVENT_STREAM = "text/event-stream"


def base_url(dialect: str, url: str) -> str:
    """What a provider of this dialect takes as its base URL."""
    return f"{url}/v1" if KIND[dialect] == "openai" else url


def request(dialect: str, model: str, *, stream: bool = True) -> tuple[str, dict[str, Any]]:
    """Path and body of a small question."""
    text = "count, please"
    match dialect:
        case "openai_chat":
            messages = [{"role": "user", "content": text}]
            return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream}
        case "openai_responses":
            return "/v1/responses", {"model": model, "input": text, "stream": stream}
        case "anthropic_messages":
            messages = [{"role": "user", "content": text}]
            return "/v1/messages", {"model": model, "max_tokens": 100, "messages": messages, "stream": stream}
        case _:
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{verb}", {
                "contents": [{"role": "user", "parts": [{"text": text}]}]
            }


def frames(dialect: str, words: list[str]) -> list[bytes]:
    """A whole stream: an opening, one frame a word, an ending. The opening is the first `OPENING[dialect]` frames."""
    return _WRITERS[dialect](words)


def event(document: Any, name: str | None = None) -> bytes:
    """One frame."""
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def unary(text: str = "fine") -> bytes:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    document = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**document, "usage": usage}).encode()


def _chat(words: list[str]) -> list[bytes]:
    def say(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        document = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return event({**document, "choices": [choice]})

    said = [say({"content": word}) for word in words]
    return [say({"role": "assistant", "content": ""}), *said, say({}, "stop"), b"data: [DONE]\n\n"]


def _responses(words: list[str]) -> list[bytes]:
    number = iter(range(1_000_000))

    def say(kind: str, **more: Any) -> bytes:
        return event({"type": kind, "sequence_number": next(number), **more}, kind)

    text = "".join(words)
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    done_part = {**part, "text": text}
    done_item = {**item, "status": "completed", "content": [done_part]}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    response = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "m", "output": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    usage = {
        "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(words), "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 3 + len(words),
    }  # fmt: skip
    opening = [
        say("response.created", response=response),
        say("response.output_item.added", output_index=0, item=item),
        say("response.content_part.added", **place, part=part),
    ]
    said = [say("response.output_text.delta", **place, delta=word, logprobs=[]) for word in words]
    ending = [
        say("response.output_text.done", **place, text=text, logprobs=[]),
        say("response.content_part.done", **place, part=done_part),
        say("response.output_item.done", output_index=0, item=done_item),
        say(
            "response.completed",
            response={**response, "status": "completed", "output": [done_item], "usage": usage},
        ),
    ]
    return [*opening, *said, *ending]


def _anthropic(words: list[str]) -> list[bytes]:
    def say(kind: str, **more: Any) -> bytes:
        return event({"type": kind, **more}, kind)

    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1},
    }  # fmt: skip
    delta = [
        say("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words
    ]
    return [
        say("message_start", message=message),
        say("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *delta,
        say("content_block_stop", index=0),
        say(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": len(words)},
        ),
        say("message_stop"),
    ]


def _gemini(words: list[str]) -> list[bytes]:
    def say(text: str, finish: str | None = None) -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
        return event({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"})

    return [*[say(word) for word in words], say("", "STOP")]


_WRITERS: dict[str, Callable[[list[str]], list[bytes]]] = {
    CHAT: _chat,
    RESPONSES: _responses,
    ANTHROPIC: _anthropic,
    GEMINI: _gemini,
}
OPENING = {CHAT: 1, RESPONSES: 3, ANTHROPIC: 2, GEMINI: 0}
"""Frames before the first word."""
ENDING = {CHAT: 2, RESPONSES: 4, ANTHROPIC: 3, GEMINI: 1}
"""Frames after the last."""


# -- the client's side


@dataclass
class Heard:
    """What a client has of a stream."""

    text: str = ""
    events: int = 0
    """Whole ones, an error included."""
    is_whole: bool = False
    """Its dialect's terminal event was there."""
    error: dict[str, Any] | None = None
    """The error, where it has the form that the dialect's official SDK raises."""
    documents: list[Any] = field(default_factory=list)
    """Every event's document."""
    faults: list[str] = field(default_factory=list)
    """What no client could read."""


def listen(dialect: str, body: bytes) -> Heard:
    """Read a stream that has ended, as a client of that dialect does."""
    heard = Heard()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        heard.faults.append(f"not UTF-8: {error.reason}")
        text = body.decode("utf-8", "replace")
    for name, content in _events(text, heard):
        heard.events += 1
        if content == "[DONE]":
            heard.is_whole = True
            continue
        try:
            document = json.loads(content)
        except ValueError:
            heard.faults.append(f"an event that is no JSON: {content[:60]!r}")
            continue
        heard.documents.append(document)
        _LISTENERS[dialect](heard, name, document)
    return heard


def _events(text: str, heard: Heard) -> Iterator[tuple[str, str]]:
    """Name and content of each event, by the HTML standard's rules. What no empty line ends is a fault."""
    name = ""
    lines: list[str] = []
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    *whole_lines, rest = plain.split("\n")
    for line in whole_lines:
        if not line:
            if lines:
                yield name, "\n".join(lines)
            name, lines = "", []
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "data":
            lines.append(value)
        elif key == "event":
            name = value
    if lines or name or rest:
        heard.faults.append(f"an event that is cut off: {(rest or name or lines[-1])[:60]!r}")


def _hear_chat(heard: Heard, name: str, document: Any) -> None:
    if "error" in document:
        heard.error = document["error"]
        return
    for choice in document.get("choices", []):
        heard.text += choice.get("delta", {}).get("content") or ""


def _hear_responses(heard: Heard, name: str, document: Any) -> None:
    match document.get("type"):
        case "error":
            heard.error = document
        case "response.failed":
            heard.error = document["response"]["error"]
        case "response.completed" | "response.incomplete":
            heard.is_whole = True
        case "response.output_text.delta":
            heard.text += document["delta"]


def _hear_anthropic(heard: Heard, name: str, document: Any) -> None:
    match document.get("type"):
        case "error" if name == "error":
            heard.error = document["error"]
        case "message_stop":
            heard.is_whole = True
        case "content_block_delta":
            heard.text += document["delta"].get("text", "")


def _hear_gemini(heard: Heard, name: str, document: Any) -> None:
    if "error" in document:
        heard.error = document["error"]
        return
    for candidate in document.get("candidates", []):
        parts = (candidate.get("content") or {}).get("parts") or []
        heard.text += "".join(part.get("text", "") for part in parts)
        heard.is_whole |= "finishReason" in candidate


_LISTENERS: dict[str, Callable[[Heard, str, Any], None]] = {
    CHAT: _hear_chat,
    RESPONSES: _hear_responses,
    ANTHROPIC: _hear_anthropic,
    GEMINI: _hear_gemini,
}
