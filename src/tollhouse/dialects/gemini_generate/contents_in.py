"""The conversation in `contents`.

Calls and their results are told apart by `id`, which is optional: without ids the results of a turn answer the calls of
the turn before by name and in order (https://ai.google.dev/gemini-api/docs/function-calling, read 2026-11-25).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Media,
    Message,
    Opaque,
    Part,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.dialects.ground_family.google_spelling import GoogleFields
from tollhouse.wire.json_fields import WrongType

from .citations import DIALECT
from .media import media_of_address, media_of_bytes
from .signatures import ISSUER, returned_signature

_ROLES: Final = {
    None: Role.USER,
    "user": Role.USER,
    "function": Role.USER,
    "tool": Role.USER,
    "model": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
_FALSE: Final = (False,)
_SAID: Final = ("output", "result", "return_value", "content")
"""Members that hold the whole of what a tool said, where they are texts and nothing else stands beside them but the
tool's name: as Google writes it, as pydantic-ai does, and as Vercel's SDK does."""
_BESIDE: Final = frozenset(
    ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"]
)


def read_contents(body: GoogleFields) -> tuple[Message, ...]:
    """The turns that say something. Raises: WrongType."""
    calls = _Calls()
    turns: list[tuple[Role, list[list[Part]]]] = []
    for content in body.each("contents"):
        written = content.take_text("role")
        if written not in _ROLES:
            raise WrongType(content.of("role"), "`user` or `model`")
        role = _ROLES[written]
        parts = [read for part in content.each("parts") if (read := _part(part, calls)) is not None]
        if role is Role.ASSISTANT and turns and turns[-1][0] is role:
            turns[-1][1].append(parts)
        elif parts:
            turns.append((role, [parts]))
    return tuple(
        [Message(role=role, parts=tuple(_whole_thoughts(_one_turn(contents)))) for role, contents in turns]
    )


def _one_turn(contents: list[list[Part]]) -> list[Part]:
    """The parts of contents in a row: google-genai's chats send every chunk of a stream back as a content of its own,
    so a text that ends one and a text that begins the next are one."""
    found: list[Part] = []
    pieces: list[str] = []
    for parts in contents:
        for place, part in enumerate(parts):
            is_plain = isinstance(part, Text) and part.signature is None
            if pieces and not (is_plain and place == 0):
                found.append(Text(text="".join(pieces)))
                pieces = []
            if isinstance(part, Text) and is_plain:
                pieces.append(part.text)
            else:
                found.append(part)
    return [*found, Text(text="".join(pieces))] if pieces else found


def _whole_thoughts(parts: list[Part]) -> list[Part]:
    """Thoughts that a stream has cut are one again; the signature comes with the last piece."""
    found: list[Part] = []
    pieces: list[str] = []
    for part in [*parts, None]:
        if isinstance(part, Thinking):
            pieces.append(part.text)
            if part.signature is None:
                continue
            found.append(Thinking(text="".join(pieces), signature=part.signature))
            pieces = []
            continue
        if pieces:
            found.append(Thinking(text="".join(pieces)))
            pieces = []
        if part is not None:
            found.append(part)
    return found


class _Calls:
    """The calls of the conversation so far, for those whose ids were left out."""

    def __init__(self) -> None:
        self._count = 0
        self._used: set[str] = set()
        self._open: dict[str, list[str]] = {}
        """Ids of calls that nobody has answered yet, by the tool's name."""

    def call(self, given: str | None, name: str) -> str:
        call_id = given or self._next()
        self._used.add(call_id)
        self._open.setdefault(name, []).append(call_id)
        return call_id

    def _next(self) -> str:
        """By position: the same in every turn of the conversation."""
        while True:
            self._count += 1
            call_id = f"call_{self._count}"
            if call_id not in self._used:
                return call_id

    def answer(self, given: str | None, name: str | None) -> str:
        """The id of the call that is answered; one that nobody has where there is no such call."""
        waiting = self._open.get(name or "", [])
        if given:
            if given in waiting:
                waiting.remove(given)
            return given
        if waiting:
            return waiting.pop(0)
        return f"call_{name}" if name else "call_unknown"


def _part(part: GoogleFields, calls: _Calls) -> Part | None:
    signature = returned_signature(part.take_text("thoughtSignature"))
    is_thought = part.take_flag("thought") is True
    if "functionCall" in part:
        return _call(part, calls, signature)
    if "functionResponse" in part:
        return _result(part, calls)
    if "inlineData" in part or "fileData" in part:
        media = _media(part)
        return msgspec.structs.replace(media, signature=signature) if signature is not None else media
    kind = next((name for name in part.left_names() if name not in _BESIDE), None)
    if "text" not in part and kind is not None:
        return _opaque(part, kind, signature)
    return _words(part, signature, is_thought=is_thought)


def _words(part: GoogleFields, signature: Signature | None, *, is_thought: bool) -> Text | Thinking | None:
    text = part.take_text("text")
    if not text and signature is None:
        return None
    if is_thought or (not text and signature is not None and signature.issuer != ISSUER):
        return Thinking(text=text or "", signature=signature)
    return Text(text=text or "", signature=signature)


def _opaque(part: GoogleFields, kind: str, signature: Signature | None) -> Opaque:
    value = part.take_all()
    if signature is not None and signature.issuer == ISSUER:
        value["thoughtSignature"] = signature.value
    return Opaque(dialect=DIALECT, kind=kind, value=value)


def _call(part: GoogleFields, calls: _Calls, signature: Signature | None) -> ToolCall:
    call = part.take_fields("functionCall")
    assert call is not None, "asked by those who have looked"
    name = call.need_text("name")
    arguments = call.take_dict("args") or {}
    return ToolCall(
        id=calls.call(call.take_text("id"), name),
        name=name,
        arguments=_json(arguments, call.of("args")),
        signature=signature,
    )


def _result(part: GoogleFields, calls: _Calls) -> ToolResult:
    result = part.take_fields("functionResponse")
    assert result is not None, "asked by those who have looked"
    name = result.take_text("name")
    response = result.take_dict("response")
    parts: list[Text | Media] = []
    is_error = False
    if response is not None:
        text, is_error = _said(response, result.of("response"))
        parts.append(Text(text=text))
    parts += [_media(inner) for inner in result.each("parts")]
    result.ignore_if("willContinue", *_FALSE)
    return ToolResult(
        call_id=calls.answer(result.take_text("id"), name), parts=tuple(parts), name=name, is_error=is_error
    )


def _said(response: dict[str, Any], path: str) -> tuple[str, bool]:
    """What the tool said, in words, and whether it failed."""
    said = {name: value for name, value in response.items() if name != "name"} or response
    if len(said) == 1:
        ((name, value),) = said.items()
        if isinstance(value, str) and (name in _SAID or name == "error"):
            return value, name == "error"
    return _json(response, path), False


def _media(part: GoogleFields) -> Media:
    blob = part.take_fields("inlineData")
    if blob is not None:
        return media_of_bytes(
            blob.need_text("data"), blob.take_text("mimeType"), blob.take_text("displayName")
        )
    file = part.take_fields("fileData")
    if file is None:
        raise WrongType(part.path, "a part with `inlineData` or `fileData`")
    return media_of_address(
        file.need_text("fileUri"), file.take_text("mimeType"), file.take_text("displayName")
    )


def _json(value: Any, path: str) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        raise WrongType(path, "an object of well-formed texts") from None
