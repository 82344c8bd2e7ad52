"""What a conversation is recognised by where a client has lost the ids of its tool calls.

A digest of everything that was said up to a point: instructions, words, files, calls with their arguments, results.
Ids, signatures and thoughts are left out, because clients lose them; the words beside calls too, because some clients
drop them. Only a conversation that was the same to the letter has the same trail, so nothing that was thought in one
end user's conversation reaches another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from tollhouse.core.content import Media, Message, Part, Role, Text, ToolCall, ToolResult
from tollhouse.core.request import ModelRequest

_DIGEST_BYTES: Final = 16
_SORTED: Final = msgspec.json.Encoder(order="sorted")


class Trail:
    """The trail of one request, followed when first asked for: work is linear in the conversation, and done once."""

    __slots__ = ("_instructions", "_marks", "_messages")

    def __init__(self, request: ModelRequest) -> None:
        self._instructions = request.instructions
        self._messages = request.messages
        self._marks: list[str] | None = None

    def before(self, message: int) -> str:
        """What was said before the message of that number; the number of messages asks for all of it."""
        if self._marks is None:
            self._marks = list(_marks(self._instructions, self._messages))
        return self._marks[message]

    def end(self) -> str:
        """What was said before the answer to this request."""
        return self.before(len(self._messages))


def call_key(mark: str, number: int, call: ToolCall) -> str:
    """The name of the call that was the `number`-th, from 0, of the answer given where `mark` is."""
    heard = _begun()
    _hear(heard, call.name, _canonical(call.arguments))
    return f"trail:{mark}:{number}:{heard.hexdigest()}"


def _marks(instructions: Iterable[Text], messages: Iterable[Message]) -> Iterator[str]:
    heard = _begun()
    for text in instructions:
        _hear(heard, "instruction", text.text)
    for message in messages:
        yield heard.hexdigest()
        for part in message.parts:
            _hear_part(heard, part, is_answer=message.role is Role.ASSISTANT)
    yield heard.hexdigest()


def _hear_part(heard: hashlib.blake2b, part: Part, *, is_answer: bool) -> None:
    match part:
        case Text() if not is_answer:
            _hear(heard, "text", part.text)
        case Media():
            source = part.data or part.url or part.file_id or part.text or ""
            _hear(heard, "media", part.media_type or "", source)
        case ToolCall():
            _hear(heard, "call", part.name, _canonical(part.arguments))
        case ToolResult():
            _hear(heard, "result")
            for inner in part.parts:
                _hear_part(heard, inner, is_answer=False)
        case _:
            pass


def _begun() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=_DIGEST_BYTES)


def _hear(heard: hashlib.blake2b, *words: str) -> None:
    """Each with its length before it, so that no two sequences of words sound alike."""
    for word in words:
        spoken = word.encode("utf-8", "surrogatepass")
        heard.update(b"%d:" % len(spoken))
        heard.update(spoken)


def _canonical(arguments: str) -> str:
    """The same for the same arguments, however they are spaced, escaped and ordered."""
    try:
        return _SORTED.encode(msgspec.json.decode(arguments)).decode()
    except (ValueError, RecursionError):
        return arguments
