"""Event streams of any dialect: watched while they pass (`SseTap`), or read into events of the house (`SseReader`).

Both cut the bytes into frames however they were split, look at each once, and know what to make of what is no event
stream: an error in plain JSON behind a status of 200, a page of markup, the middle of a frame at the end.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import GatewayError
from tollhouse.core.events import StreamEvent
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event, FrameSplitter, FrameTooLong, NotAnEventStream, events

from .loose_json import DECODE_FAULTS, decode_loosely
from .refusals import in_band_error, not_an_answer
from .words import outline

LONGEST_FRAME_BYTES: Final = 4 * 1024 * 1024
"""Text deltas have some hundred bytes; audio and images come as base64 in one frame, and the largest seen fit well."""


class SseTap:
    """The half of ports.dialect.StreamTap that is the same everywhere.

    A dialect overrides `_event`, which looks at one event, raises GatewayError for errors, keeps `has_content`,
    `is_done` and `progress`, and tells whether the frame may go out; `_is_terminal`; and `_read`.
    """

    __slots__ = ("_fault", "_frames", "_reading", "has_content", "is_done", "progress", "salvage")

    takes_more = False
    """See ports.dialect.StreamTap. Unread: nothing after the terminal event says anything about the answer."""

    def __init__(self) -> None:
        self._frames = FrameSplitter(LONGEST_FRAME_BYTES)
        self._reading: Reading | None = None
        """To be set to None whenever what `_read` reads has changed."""
        self.is_done = False
        self._fault: GatewayError | None = None
        self.has_content = False
        self.progress = 0
        self.salvage = b""

    # -- for the dialect

    def _event(self, event: Event) -> bool:
        raise NotImplementedError

    def _is_terminal(self) -> bool:
        """Whether the stream may end here, should its last bytes have come without what usually ends it."""
        raise NotImplementedError

    def _read(self) -> Reading:
        raise NotImplementedError

    def _has_started(self) -> bool:
        """Whether there was anything of an answer; for the sentence about streams that are cut."""
        return self.progress > 0

    def _watch(self, frame: bytes) -> bool:
        """Whether the frame may go out. May be overridden by something faster that comes to the same."""
        try:
            verdicts = [self._event(event) for event in events(frame)]
        except NotAnEventStream as fault:
            raise no_event_stream(frame, fault.line) from None
        return not verdicts or any(verdicts)

    # -- ports.dialect.StreamTap

    def feed(self, data: bytes) -> bytes:
        if self.is_done:
            return data if self.takes_more else b""
        if self._fault is not None:
            raise self._fault
        try:
            frames = self._frames.feed(data)
            is_too_long = False
        except FrameTooLong as error:
            frames = error.before
            is_too_long = True
        return self._pass_on(frames, is_too_long=is_too_long)

    def _pass_on(self, frames: list[bytes], *, is_too_long: bool) -> bytes:
        passed: list[bytes] = []
        try:
            for number, frame in enumerate(frames, start=1):
                if self._watch(frame):
                    passed.append(frame)
                if self.is_done:
                    if self.takes_more:
                        passed += [*frames[number:], self._frames.tail]
                    return b"".join(passed)
            if is_too_long:
                raise _too_long()
        except GatewayError as error:
            self._fault = error
            self.salvage = b"".join(passed)
            raise
        return b"".join(passed)

    def end(self) -> Reading:
        if self._fault is not None:
            raise self._fault
        if not self.is_done:
            try:
                self._judge_tail(self._frames.tail)
            except GatewayError as error:
                self._fault = error
                raise
        return self.reading

    @property
    def reading(self) -> Reading:
        if self._reading is None:
            self._reading = self._read()
        return self._reading

    def _judge_tail(self, tail: bytes) -> None:
        """Decide at the end of the body whether the stream was whole."""
        for event in tail_events(tail):
            raise_error_in(event)
            if self._ends_with(event):
                # The last frame without its empty line: nothing is missing that means something.
                self.salvage = tail
                return
            raise not_an_answer("ended its stream in the middle of an event")
        if not self._is_terminal():
            raise cut_off(has_started=self._has_started())

    def _ends_with(self, event: Event) -> bool:
        """Whether an event that lacks its empty line is whole all the same, and the terminal one."""
        try:
            self._event(event)
        except GatewayError:
            return False
        return self.is_done


class SseReader:
    """The half of ports.translation.EventReader that is the same everywhere.

    A dialect overrides `_event`, which appends to `_out` and sets `is_done`; `_finish`, which at the end of a body
    that is whole appends what is still to be said, and raises GatewayError where it is not (`cut_off`); and `reading`.
    """

    __slots__ = ("_fault", "_frames", "_out", "is_done", "salvage")

    def __init__(self) -> None:
        self._frames = FrameSplitter(LONGEST_FRAME_BYTES)
        self._out: list[StreamEvent] = []
        self._fault: GatewayError | None = None
        self.is_done = False
        self.salvage: list[StreamEvent] = []

    # -- for the dialect

    def _event(self, event: Event) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        """Called once: at the terminal event (`is_done`), or at the end of the body without one."""
        raise NotImplementedError

    @property
    def reading(self) -> Reading:
        raise NotImplementedError

    # -- ports.translation.EventReader

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self.is_done:
            return []
        if self._fault is not None:
            raise self._fault
        try:
            frames = self._frames.feed(data)
            is_too_long = False
        except FrameTooLong as error:
            frames = error.before
            is_too_long = True
        try:
            self._read_frames(frames, is_too_long=is_too_long)
        except GatewayError as error:
            self._fault = error
            self.salvage = self._taken()
            raise
        return self._taken()

    def _read_frames(self, frames: list[bytes], *, is_too_long: bool) -> None:
        for frame in frames:
            self._frame(frame)
            if self.is_done:
                self._finish()
                return
        if is_too_long:
            raise _too_long()

    def _frame(self, frame: bytes) -> None:
        try:
            for event in events(frame):
                if not self.is_done:
                    self._event(event)
        except NotAnEventStream as fault:
            raise no_event_stream(frame, fault.line) from None

    def end(self) -> list[StreamEvent]:
        if self._fault is not None:
            raise self._fault
        if self.is_done:
            return []
        try:
            for event in tail_events(self._frames.tail):
                raise_error_in(event)
                self._last(event)
            self._finish()
        except GatewayError as error:
            self._fault = error
            self.salvage = self._taken()
            raise
        self.is_done = True
        return self._taken()

    def _last(self, event: Event) -> None:
        """An event without its empty line: whole all the same, or the middle of one."""
        try:
            self._event(event)
        except GatewayError:
            raise not_an_answer("ended its stream in the middle of an event") from None

    def _taken(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out


def json_of(event: Event) -> Any:
    """The event's data. Raises: GatewayError where it is no JSON."""
    try:
        return decode_loosely(event.text)
    except DECODE_FAULTS:
        raise not_an_answer(f"sent an event that is not JSON but {outline(event.text)}") from None


def object_of(event: Event) -> dict[str, Any]:
    """The event's data, which is an object. Raises: GatewayError."""
    value = json_of(event)
    if not isinstance(value, dict):
        raise not_an_answer("sent an event that is no JSON object")
    return value


def value_of(event: Event) -> object:
    """The event's data, or its text where that is no JSON: for errors, whose words are kept whatever they are."""
    try:
        return decode_loosely(event.text)
    except DECODE_FAULTS:
        return event.text.decode("utf-8", "replace")


def tail_events(tail: bytes) -> list[Event]:
    """What a body ends with, should it not be an empty line. Raises: GatewayError where it is no event."""
    try:
        return list(events(tail))
    except NotAnEventStream as fault:
        raise no_event_stream(tail, fault.line) from None


def raise_error_in(event: Event) -> None:
    """The last event came without its end; if it is an error, its words are still worth more than that it was cut."""
    value = value_of(event)
    if event.name == b"error":
        raise in_band_error(value)
    if isinstance(value, dict) and value.get("error"):
        raise in_band_error(value["error"])


def no_event_stream(text: bytes, line: bytes) -> GatewayError:
    """Something else than events came: an error in plain JSON, whose words are kept, or anything."""
    for part in (text, line):
        try:
            value = decode_loosely(part)
        except DECODE_FAULTS:
            continue
        if isinstance(value, list) and value:
            value = value[0]  # as Google wraps its errors
        if isinstance(value, dict) and value.get("error"):
            return in_band_error(value)
    return not_an_answer(f"sent {outline(text)} in the place of an event")


def cut_off(*, has_started: bool) -> GatewayError:
    """The body is at its end and the answer is not."""
    return not_an_answer(
        "ended its stream before the answer was finished"
        if has_started
        else "ended its stream without an answer"
    )


def _too_long() -> GatewayError:
    return not_an_answer(f"sent an event of more than {LONGEST_FRAME_BYTES} bytes")
