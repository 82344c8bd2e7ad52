"""Gemini's generateContent as Google serves it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from clients.answers import Answer, Call, Refusal, Said, Thought, pieces
from clients.history import Asked, Entry, HeldCall, HeldResult, HeldText, HeldThought, push
from clients.speech.openai_chat import sse

ISSUER = "gemini"
MODEL = "gemini-3-pro-preview"
CONTENT_TYPE = "text/event-stream"
_FINISH = {"stop": "STOP", "tool": "STOP", "length": "MAX_TOKENS"}


def is_mine(path: str) -> bool:
    return path.endswith(("generateContent", "streamGenerateContent"))


def read(path: str, body: dict[str, Any]) -> Asked:
    entries: list[Entry] = []
    for content in body["contents"]:
        is_model = content.get("role") == "model"
        if is_model:
            entries.append(Entry("assistant"))
        for part in content["parts"]:
            signature = part.get("thoughtSignature") or part.get("thought_signature")
            if call := part.get("functionCall") or part.get("function_call"):
                held = HeldCall(call.get("id"), call["name"], call.get("args") or {}, signature)
                push(entries, "assistant", held)
            elif given := part.get("functionResponse") or part.get("function_response"):
                text = " ".join(
                    value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                    for value in given["response"].values()
                )
                push(entries, "results", HeldResult(given.get("id"), given["name"], text))
            elif part.get("thought"):
                push(entries, "assistant", HeldThought(part.get("text"), signature))
            else:
                push(entries, "assistant" if is_model else "user", HeldText(part.get("text", "")))
    thinking = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return Asked(
        model=unquote(path.rpartition("/models/")[2].rpartition(":")[0]),
        is_stream="streamGenerateContent" in path,
        entries=entries,
        tools=[
            declared["name"]
            for tool in body.get("tools") or []
            for declared in tool.get("functionDeclarations") or tool.get("function_declarations") or []
        ],
        thinks=bool(thinking),
    )


def _parts(answer: Answer) -> list[dict[str, Any]]:
    """The first call is signed; without calls the last part is."""
    out: list[dict[str, Any]] = []
    is_signed = False
    for part in answer.parts:
        match part:
            case Thought(text):
                out.append({"text": text, "thought": True})
            case Said(text):
                out.append({"text": text})
            case Call(_, name, arguments):
                out.append({"functionCall": {"name": name, "args": arguments}})
                if not is_signed:
                    out[-1]["thoughtSignature"] = answer.signature(ISSUER)
                    is_signed = True
    if not is_signed and answer.reasoning:
        out[-1]["thoughtSignature"] = answer.signature(ISSUER)
    return out


def _document(answer: Answer, model: str, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    tokens = answer.tokens
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": tokens.input,
            "candidatesTokenCount": tokens.output - tokens.reasoning,
            "totalTokenCount": tokens.input + tokens.output,
            "cachedContentTokenCount": tokens.cached,
            "thoughtsTokenCount": tokens.reasoning,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
        },
        "modelVersion": model,
        "responseId": f"r-{answer.scenario}-{answer.turn}",
    }


def whole(answer: Answer, model: str) -> dict[str, Any]:
    return _document(answer, model, _parts(answer), _FINISH[answer.finish])


def frames(answer: Answer, model: str) -> list[bytes]:
    out: list[bytes] = []
    for part in _parts(answer):
        if "text" in part:
            cut = pieces(part["text"], 9)
            mark = {"thought": True} if part.get("thought") else {}
            out += [sse(_document(answer, model, [{"text": piece, **mark}], None)) for piece in cut]
            if "thoughtSignature" in part:
                signed = {"text": "", "thoughtSignature": part["thoughtSignature"]}
                out.append(sse(_document(answer, model, [signed], None)))
        else:
            out.append(sse(_document(answer, model, [part], None)))
    if not answer.is_cut:
        out.append(sse(_document(answer, model, [{"text": ""}], _FINISH[answer.finish])))
    return out


def refuse(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    status, name, message = {
        "overflow": (
            400, "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        "credential": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        "rate": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
        "failure": (500, "INTERNAL", "An internal error has occurred."),
    }[refusal.about]  # fmt: skip
    return status, {"error": {"code": status, "message": message, "status": name}}


def fault(message: str) -> tuple[int, dict[str, Any]]:
    """What was sent is wrong."""
    return 400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
