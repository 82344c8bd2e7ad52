"""What comes from an upstream in the place of a stream of Converse, as messages and then as events.

Messages are cut out however the bytes were split. What is no event stream, such as an error in plain JSON behind a
status of 200, is collected until it can be read.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import GatewayError
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.words import outline
from tollhouse.wire.aws_eventstream import BadMessage, Message, MessageSplitter

from .errors import exception, misplaced_error

_LONGEST_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Images come whole in one message."""
_LONGEST_TEXT_BYTES: Final = 64 * 1024
_MOST_LOOKS: Final = 8


class Inflow:
    """One stream's bytes. Time and memory are linear in what is fed."""

    __slots__ = ("_looks", "_saw_message", "_splitter", "_text")

    def __init__(self) -> None:
        self._splitter = MessageSplitter(_LONGEST_MESSAGE_BYTES)
        self._saw_message = False
        self._text: bytearray | None = None
        """Once it is clear that this is no event stream: what came instead."""
        self._looks = 0

    def feed(self, data: bytes) -> tuple[list[Message], GatewayError | None]:
        """Messages that are whole, and what is wrong with the bytes behind them."""
        if self._text is not None:
            self._text += data
            return [], self._judge_text(self._text)
        try:
            messages = self._splitter.feed(data)
        except BadMessage as fault:
            if self._saw_message or fault.before:
                return fault.before, not_an_answer(f"sent a damaged stream: {fault}")
            self._text = bytearray(fault.rest)
            return [], self._judge_text(self._text)
        self._saw_message = self._saw_message or bool(messages)
        return messages, None

    def end(self) -> None:
        """At the end of the body. Raises: GatewayError, when it does not end with a whole message."""
        if self._text is not None:
            raise misplaced_error(bytes(self._text)) or _no_stream(self._text)
        tail = self._splitter.tail
        if tail:
            if not self._saw_message:
                raise misplaced_error(tail) or _no_stream(tail)
            raise not_an_answer("ended its stream in the middle of a message")

    def _judge_text(self, text: bytearray) -> GatewayError | None:
        """The error, as soon as there is one: whether a JSON text is at its end can only be tried."""
        if len(text) <= _LONGEST_TEXT_BYTES and text.startswith((b"{", b"<")):
            if not text.rstrip().endswith(b"}"):
                return None
            self._looks += 1
            error = misplaced_error(bytes(text))
            if error is not None or self._looks < _MOST_LOOKS:
                return error
        return _no_stream(text)


def event_of(message: Message) -> tuple[str, dict[str, Any]]:
    """The name of an event and what it says. Raises: GatewayError, when it is an exception or cannot be read."""
    kind = message.headers.get(":message-type")
    if kind == "error":
        raise exception(
            str(message.headers.get(":error-code", "")), str(message.headers.get(":error-message", ""))
        )
    if kind == "exception":
        raise exception(str(message.headers.get(":exception-type", "")), _loosely(message.payload))
    name = message.headers.get(":event-type")
    try:
        said = decode_loosely(message.payload or b"{}")
    except DECODE_FAULTS:
        raise not_an_answer(f"sent an event that is not JSON but {outline(message.payload)}") from None
    if not isinstance(said, dict):
        raise not_an_answer("sent an event that is no JSON object")
    if len(said) == 1 and (name in said or name is None):
        # Some who rebuild this API put the event's name around the event once more.
        ((inner_name, inner),) = said.items()
        if isinstance(inner, dict):
            return inner_name, inner
    return str(name or ""), said


def _loosely(payload: bytes) -> Any:
    try:
        return decode_loosely(payload)
    except DECODE_FAULTS:
        return payload.decode("utf-8", "replace")


def _no_stream(text: bytes | bytearray) -> GatewayError:
    return not_an_answer(f"sent {outline(bytes(text))} in the place of an event stream")
