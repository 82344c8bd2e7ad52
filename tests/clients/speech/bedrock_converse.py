"""Amazon Bedrock's Converse as AWS serves it; streams are AWS event streams."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any
from urllib.parse import unquote

from clients.answers import Answer, Call, Refusal, Said, Thought, arguments_text, pieces
from clients.history import Asked, Entry, HeldCall, HeldResult, HeldText, HeldThought, push

ISSUER = "anthropic"
MODEL = "anthropic.claude-sonnet-4-5-v1:0"
CONTENT_TYPE = "application/vnd.amazon.eventstream"
_FINISH = {"stop": "end_turn", "tool": "tool_use", "length": "max_tokens"}


def is_mine(path: str) -> bool:
    return path.endswith(("/converse", "/converse-stream"))


def read(path: str, body: dict[str, Any]) -> Asked:
    entries: list[Entry] = []
    for message in body["messages"]:
        if message["role"] == "assistant":
            entries.append(Entry("assistant"))
        for block in message["content"]:
            if "text" in block:
                push(entries, message["role"], HeldText(block["text"]))
            elif "reasoningContent" in block:
                held = block["reasoningContent"]
                said = held.get("reasoningText") or {}
                thought = HeldThought(said.get("text"), said.get("signature") or held.get("redactedContent"))
                push(entries, "assistant", thought)
            elif "toolUse" in block:
                use = block["toolUse"]
                push(entries, "assistant", HeldCall(use["toolUseId"], use["name"], use["input"]))
            elif "toolResult" in block:
                given = block["toolResult"]
                text = "".join(
                    part["text"] if "text" in part else json.dumps(part.get("json"), ensure_ascii=False)
                    for part in given["content"]
                )
                push(entries, "results", HeldResult(given["toolUseId"], None, text))
    more = body.get("additionalModelRequestFields") or {}
    return Asked(
        model=unquote(path.split("/model/")[1].rpartition("/")[0]),
        is_stream=path.endswith("-stream"),
        entries=entries,
        tools=[
            tool["toolSpec"]["name"]
            for tool in (body.get("toolConfig") or {}).get("tools") or []
            if "toolSpec" in tool
        ],
        thinks=bool(more.get("thinking") or more.get("reasoning_config")),
    )


def _usage(answer: Answer) -> dict[str, Any]:
    tokens = answer.tokens
    return {
        "inputTokens": tokens.input - tokens.cached,
        "outputTokens": tokens.output,
        "totalTokens": tokens.input + tokens.output,
        "cacheReadInputTokens": tokens.cached,
        "cacheWriteInputTokens": 0,
    }


def whole(answer: Answer, model: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for part in answer.parts:
        match part:
            case Thought(text):
                said = {"text": text, "signature": answer.signature(ISSUER)}
                content.append({"reasoningContent": {"reasoningText": said}})
            case Said(text):
                content.append({"text": text})
            case Call(id, name, arguments):
                content.append({"toolUse": {"toolUseId": id, "name": name, "input": arguments}})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _FINISH[answer.finish],
        "usage": _usage(answer),
        "metrics": {"latencyMs": 12},
    }


def frames(answer: Answer, model: str) -> list[bytes]:
    out = [_message("messageStart", {"role": "assistant"})]
    for index, part in enumerate(answer.parts):

        def delta(document: dict[str, Any], at: int = index) -> bytes:
            return _message("contentBlockDelta", {"contentBlockIndex": at, "delta": document})

        match part:
            case Thought(text):
                out += [delta({"reasoningContent": {"text": piece}}) for piece in pieces(text)]
                out.append(delta({"reasoningContent": {"signature": answer.signature(ISSUER)}}))
            case Said(text):
                out += [delta({"text": piece}) for piece in pieces(text)]
            case Call() as call:
                start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
                out.append(_message("contentBlockStart", {"contentBlockIndex": index, "start": start}))
                cut = pieces(arguments_text(call)) if call.arguments else []
                out += [delta({"toolUse": {"input": piece}}) for piece in cut]
        if answer.is_cut:
            return out
        out.append(_message("contentBlockStop", {"contentBlockIndex": index}))
    out.append(_message("messageStop", {"stopReason": _FINISH[answer.finish]}))
    out.append(_message("metadata", {"usage": _usage(answer), "metrics": {"latencyMs": 12}}))
    return out


def _message(kind: str, document: dict[str, Any]) -> bytes:
    """One message of an AWS event stream."""
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in (
            (":event-type", kind), (":content-type", "application/json"), (":message-type", "event"),
        )
    )  # fmt: skip
    payload = json.dumps(document, ensure_ascii=False).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    message = prelude + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def refuse(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    status, message = {
        "overflow": (400, "The model returned the following errors: Input is too long for requested model."),
        "credential": (403, "The security token included in the request is invalid."),
        "rate": (429, "Too many requests, please wait before trying again."),
        "failure": (
            500,
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
    }[refusal.about]
    return status, {"message": message}


def fault(message: str) -> tuple[int, dict[str, Any]]:
    """What was sent is wrong."""
    return 400, {"message": message}
