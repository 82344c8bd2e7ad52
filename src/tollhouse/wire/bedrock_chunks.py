"""Claude's event streams out of Bedrock's InvokeModelWithResponseStream, as the server-sent events they are elsewhere.

Bedrock wraps each of Anthropic's events in a message of type `chunk` whose payload is `{"bytes": <base64 of the
event's JSON>}`, and reports errors as messages of their own. Source: Bedrock's API reference,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html, read 2026-11-25.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

import msgspec

from .aws_eventstream import BadMessage, Message, MessageSplitter

_LONGEST_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_ERROR_TYPES: Final = {
    "throttlingexception": "rate_limit_error",
    "modelnotreadyexception": "rate_limit_error",
    "validationexception": "invalid_request_error",
    "servicequotaexceededexception": "rate_limit_error",
    "accessdeniedexception": "permission_error",
    "resourcenotfoundexception": "not_found_error",
    "modeltimeoutexception": "timeout_error",
    "serviceunavailableexception": "overloaded_error",
}
"""Bedrock's exceptions in Anthropic's words; all others are `api_error`."""


class _Chunk(msgspec.Struct):
    bytes: str = ""


class _Typed(msgspec.Struct):
    type: Any = None


class _Said(msgspec.Struct):
    message: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk).decode
_TYPED: Final = msgspec.json.Decoder(_Typed).decode
_SAID: Final = msgspec.json.Decoder(_Said).decode


class ChunkUnwrapper:
    """One stream. Time and memory are linear in what is fed.

    What is no event stream from its first byte on, such as an error in plain JSON behind a status of 200, goes out as
    it came: whoever reads events knows what to make of it.
    """

    __slots__ = ("_is_broken", "_is_other", "_messages", "_saw_message")

    def __init__(self) -> None:
        self._messages = MessageSplitter(_LONGEST_MESSAGE_BYTES)
        self._saw_message = False
        self._is_other = False
        self._is_broken = False

    def feed(self, data: bytes) -> bytes:
        """The events that have come, each whole."""
        if self._is_other:
            return data
        if self._is_broken:
            return b""
        fault: BadMessage | None = None
        try:
            messages = self._messages.feed(data)
        except BadMessage as error:
            messages, fault = error.before, error
        self._saw_message = self._saw_message or bool(messages)
        frames = [_frame(message) for message in messages]
        if fault is not None:
            if not self._saw_message:
                self._is_other = True
                return fault.rest
            self._is_broken = True
            frames.append(_error_frame("api_error", f"The stream from Bedrock is damaged: {fault}."))
        return b"".join(frames)

    def end(self) -> bytes:
        """At the end of the body: what it ends with, should that be the beginning of something else than a message.
        A message that was cut off is dropped: the event that ends a stream is then missing."""
        if self._is_other or self._is_broken or self._saw_message:
            return b""
        return self._messages.tail


def _frame(message: Message) -> bytes:
    kind = message.headers.get(":message-type")
    if kind == "exception":
        return _exception(str(message.headers.get(":exception-type", "")), message.payload)
    if kind == "error":
        said = str(message.headers.get(":error-message", ""))
        return _exception(str(message.headers.get(":error-code", "")), msgspec.json.encode({"message": said}))
    if message.headers.get(":event-type") != "chunk":
        return b""  # such as `initial-response`: nothing of the model's
    try:
        text = base64.b64decode(_CHUNK(message.payload).bytes, validate=True)
        name = _type_of(text)
    except (binascii.Error, ValueError, RecursionError):
        return _error_frame("api_error", "The stream from Bedrock has a chunk that cannot be read.")
    if b"\n" in text or b"\r" in text:  # between JSON's tokens: inside its strings they are escaped
        text = text.replace(b"\r", b" ").replace(b"\n", b" ")
    event = b"event: " + name.encode() + b"\n" if isinstance(name, str) and name.isidentifier() else b""
    return event + b"data: " + text + b"\n\n"


def _type_of(text: bytes) -> Any:
    """Raises: ValueError, RecursionError."""
    try:
        return _TYPED(text).type
    except msgspec.MsgspecError:
        event = json.loads(text)  # which bears half a surrogate pair
        return event.get("type") if isinstance(event, dict) else None


def _exception(name: str, payload: bytes) -> bytes:
    try:
        said = _SAID(payload).message
    except (msgspec.MsgspecError, UnicodeError):
        said = None
    words = said if isinstance(said, str) and said else "The upstream did not say why."
    return _error_frame(_ERROR_TYPES.get(name.lower(), "api_error"), f"{name or 'Error'}: {words}")


def _error_frame(kind: str, message: str) -> bytes:
    document = {"type": "error", "error": {"type": kind, "message": message}}
    return b"event: error\ndata: " + msgspec.json.encode(document) + b"\n\n"
