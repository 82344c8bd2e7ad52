"""Event streams of a toy dialect: `{"text": …}` is content, `{"end": true}` the terminal event."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import Text
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.events import PartStarted, StreamEvent
from tollhouse.dialects.ground_family.event_streams import (
    LONGEST_FRAME_BYTES,
    SseReader,
    SseTap,
    cut_off,
    object_of,
)
from tollhouse.dialects.ground_family.refusals import in_band_error
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

HELLO, WORLD = b'data: {"text":"Hell\xc3\xb6"}\n\n', b'data: {"text":"world"}\r\n\r\n'
END = b'event: end\ndata: {"end":true}\n\n'
HIDDEN = b'data: {"hidden":true}\n\n'
PING = b": ping\n\n"


class ToyTap(SseTap):
    __slots__ = ("finish",)

    def __init__(self) -> None:
        super().__init__()
        self.finish: str | None = None

    def _event(self, event: Event) -> bool:
        value = object_of(event)
        if value.get("error"):
            raise in_band_error(value["error"])
        if "text" in value:
            self.has_content = True
            self.progress += 1
        if value.get("end"):
            self.is_done = True
            self.finish = "end"
            self._reading = None
        return not value.get("hidden")

    def _is_terminal(self) -> bool:
        return self.is_done

    def _read(self) -> Reading:
        return Reading(finish_reason=self.finish)


class ToyReader(SseReader):
    __slots__ = ("_count",)

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def _event(self, event: Event) -> None:
        value = object_of(event)
        if value.get("error"):
            raise in_band_error(value["error"])
        if "text" in value:
            self._out.append(PartStarted(index=self._count, part=Text(text=value["text"])))
            self._count += 1
        if value.get("end"):
            self.is_done = True

    def _finish(self) -> None:
        if not self.is_done:
            raise cut_off(has_started=self._count > 0)
        self._out.append(PartStarted(index=99, part=Text(text="the end")))

    @property
    def reading(self) -> Reading:
        return Reading()


def split(whole: bytes, cuts: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted({cut % (len(whole) + 1) for cut in cuts}), len(whole)]
    return [whole[a:b] for a, b in pairwise(borders)]


def texts(events: list[StreamEvent]) -> list[str]:
    return [e.part.text for e in events if isinstance(e, PartStarted) and isinstance(e.part, Text)]


cuts = st.lists(st.integers(0, 300), max_size=20)


@given(cuts)
def test_a_stream_passes_byte_for_byte_however_it_is_split(cuts: list[int]) -> None:
    tap = ToyTap()
    out = b"".join([tap.feed(piece) for piece in split(PING + HELLO + HIDDEN + WORLD + END, cuts)])
    assert tap.end() == Reading(finish_reason="end")
    assert out + tap.salvage == PING + HELLO + WORLD + END
    assert (tap.has_content, tap.is_done, tap.progress) == (True, True, 2)


@given(cuts)
def test_a_stream_is_read_the_same_however_it_is_split(cuts: list[int]) -> None:
    reader = ToyReader()
    events = [e for piece in split(PING + HELLO + HIDDEN + WORLD + END, cuts) for e in reader.feed(piece)]
    assert texts(events + reader.end()) == ["Hellö", "world", "the end"]
    assert reader.is_done
    assert reader.end() == []


@given(st.integers(0, len(HELLO + WORLD + END) - 1))
def test_a_stream_cut_anywhere_is_not_whole(length: int) -> None:
    whole = HELLO + WORLD + END
    is_terminal_all_there = length >= len(whole) - 2  # but for its empty line
    for stream in (ToyTap(), ToyReader()):
        stream.feed(whole[:length])
        if is_terminal_all_there:
            stream.end()
            continue
        with pytest.raises(GatewayError) as fault:
            stream.end()
        assert fault.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_the_last_frame_may_lack_its_empty_line() -> None:
    tap, reader = ToyTap(), ToyReader()
    assert tap.feed(HELLO + END[:-2]) == HELLO
    tap.end()
    assert tap.salvage == END[:-2]
    assert texts(reader.feed(HELLO + END[:-2])) == ["Hellö"]
    assert texts(reader.end()) == ["the end"]


@given(cuts)
def test_what_came_before_an_error_can_be_saved(cuts: list[int]) -> None:
    whole = HELLO + WORLD + b'data: {"error":{"message":"Overloaded","type":"overloaded_error"}}\n\n' + END
    tap, reader = ToyTap(), ToyReader()
    passed, read = b"", list[StreamEvent]()
    with pytest.raises(GatewayError, match="Overloaded"):
        for piece in split(whole, cuts):
            passed += tap.feed(piece)
    with pytest.raises(GatewayError, match="Overloaded"):
        for piece in split(whole, cuts):
            read += reader.feed(piece)
    assert passed + tap.salvage == HELLO + WORLD
    assert texts(read + reader.salvage) == ["Hellö", "world"]


def test_a_failed_stream_stays_failed() -> None:
    for stream in (ToyTap(), ToyReader()):
        for _ in range(2):
            with pytest.raises(GatewayError, match="Overloaded"):
                stream.feed(b'data: {"error":"Overloaded"}\n\n')
        with pytest.raises(GatewayError, match="Overloaded"):
            stream.end()


def test_nothing_after_the_terminal_event_is_looked_at() -> None:
    tap, reader = ToyTap(), ToyReader()
    assert tap.feed(END + b"nonsense\n\n") == END
    assert tap.feed(b"nonsense\n\n") == b""
    assert texts(reader.feed(END + b"nonsense\n\n")) == ["the end"]
    assert reader.feed(b"nonsense\n\n") == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"Slow down","code":429}}', "Slow down"),
        (b"<html><title>Bad gateway</title></html>", "Bad gateway"),
        (b'{"text":"not framed"}', "in the place of an event"),
    ],
)
@pytest.mark.parametrize("ending", [b"", b"\n\n"])
def test_what_is_no_event_stream_is_told_in_its_own_words(body: bytes, said: str, ending: bytes) -> None:
    for stream in (ToyTap(), ToyReader()):
        with pytest.raises(GatewayError, match=said):
            stream.feed(body + ending)
            stream.end()


def test_an_error_in_plain_json_behind_events_is_found() -> None:
    for stream in (ToyTap(), ToyReader()):
        stream.feed(HELLO)
        with pytest.raises(GatewayError, match="Slow down"):
            stream.feed(b'{"error":{"message":"Slow down"}}')
            stream.end()


@pytest.mark.parametrize("before", [b"", HELLO])
def test_an_empty_ending_says_whether_there_was_an_answer(before: bytes) -> None:
    for stream in (ToyTap(), ToyReader()):
        stream.feed(before)
        with pytest.raises(GatewayError) as fault:
            stream.end()
        assert ("before the answer was finished" in fault.value.message) is bool(before)


def test_an_event_longer_than_the_bound_ends_the_stream() -> None:
    long = b'data: {"text":"' + b"x" * LONGEST_FRAME_BYTES
    tap, reader = ToyTap(), ToyReader()
    with pytest.raises(GatewayError, match="more than"):
        tap.feed(HELLO + long)
    assert tap.salvage == HELLO
    with pytest.raises(GatewayError, match="more than"):
        reader.feed(HELLO + long)
    assert texts(reader.salvage) == ["Hellö"]


def test_an_event_that_is_no_json_object_is_no_event_of_the_dialect() -> None:
    for data in (b"data: [1]\n\n", b"data: nonsense\n\n", b"data: {\n\n"):
        for stream in (ToyTap(), ToyReader()):
            with pytest.raises(GatewayError) as fault:
                stream.feed(data)
            assert fault.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
