"""Heartbeats between frames: they change nothing that is read of a stream, and errors still end it properly.

Whether official SDKs pass them over is asked of those themselves, in tests/clients/test_heartbeats.py.
"""

from __future__ import annotations

import json

import pytest

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.events import Ping, ResponseStarted
from tollhouse.core.operation import Operation
from tollhouse.dialects.gemini_generate.tap import ArrayFraming
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall
from tollhouse.wire.aws_eventstream import MessageSplitter
from unit.dialects.answers import answers_for, in_pieces, stream_of
from unit.dialects.crossing import CALLERS, MODEL, TARGETS, plain_call
from unit.dialects.reading_streams import read_pieces, tap_pieces

STALLED = GatewayError(ErrorKind.TIMEOUT_IDLE, "Silence.", blame=Blame.UPSTREAM)


def frames_of(name: str, stream: bytes) -> list[bytes]:
    if name == "bedrock_converse":
        return [message.raw for message in MessageSplitter(10**6).feed(stream)]
    return [frame + b"\n\n" for frame in stream.split(b"\n\n") if frame]


def array_call() -> ClientCall:
    """Of a Gemini caller who did not ask for events."""
    body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    return CALLERS["gemini_generate"].read(
        Ask(operation=Operation.CHAT, body=body, path_model=MODEL, path_stream=True)
    )


@pytest.mark.parametrize("name", TARGETS)
def test_heartbeats_change_nothing_that_is_read_of_a_stream(name: str) -> None:
    dialect, caller = TARGETS[name], plain_call(name)
    heartbeat = dialect.stream_kind(caller).heartbeat
    for about, answer in answers_for(name).items():
        frames = frames_of(name, stream_of(name, caller, in_pieces(answer)))
        beaten = [heartbeat, *[piece for frame in frames for piece in (frame, heartbeat)]]
        events, error, reading = read_pieces(dialect, frames)
        seen, seen_error, seen_reading = read_pieces(dialect, beaten)
        assert [event for event in seen if not isinstance(event, Ping)] == events, about
        assert (seen_error, seen_reading) == (error, reading) == ("", reading), about


@pytest.mark.parametrize("name", CALLERS)
def test_heartbeats_are_no_progress_and_pass_through(name: str) -> None:
    """A house in front of a house: what keeps the line between them alive keeps no clock from running out."""
    dialect, caller = CALLERS[name], plain_call(name)
    heartbeat = dialect.stream_kind(caller).heartbeat
    frames = frames_of(name, stream_of(name, caller, in_pieces(answers_for(name)["a text"])))
    tap = dialect.tap_stream(caller)
    for _ in range(3):
        tap.feed(heartbeat)
    assert (tap.progress, tap.has_content) == (0, False)
    for frame in frames[:3]:
        tap.feed(frame)
    before = tap.progress
    for _ in range(3):
        tap.feed(heartbeat)
    assert tap.progress == before > 0
    beaten = [heartbeat, *[piece for frame in frames[:-1] for piece in (frame, heartbeat)], frames[-1]]
    assert tap_pieces(dialect, caller, beaten)[:2] == (b"".join(beaten), "")
    assert tap_pieces(dialect, caller, beaten)[2] == tap_pieces(dialect, caller, frames)[2]


@pytest.mark.parametrize("name", CALLERS)
def test_a_stream_of_heartbeats_alone_is_no_answer(name: str) -> None:
    dialect, caller = CALLERS[name], plain_call(name)
    assert tap_pieces(dialect, caller, [dialect.stream_kind(caller).heartbeat] * 5)[1] != ""


def test_an_array_is_one_array_however_it_was_begun_and_kept_alive() -> None:
    dialect, caller = CALLERS["gemini_generate"], array_call()
    kind = dialect.stream_kind(caller)
    for about, answer in answers_for("gemini_generate").items():
        stream = stream_of("gemini_generate", plain_call("gemini_generate"), in_pieces(answer))
        frames = frames_of("gemini_generate", stream)
        tap = dialect.tap_stream(caller)
        pieces = [tap.feed(frame) for frame in frames]
        tap.end()
        pieces.append(tap.salvage)
        whole = b"".join(pieces)
        assert len(json.loads(whole)) == len(frames), about
        assert whole.startswith(kind.opening)
        pieces[0] = pieces[0].removeprefix(kind.opening)
        beaten = kind.opening + kind.heartbeat * 2 + kind.heartbeat.join(pieces)
        assert json.loads(beaten) == json.loads(whole), about


def test_an_array_without_elements_is_empty_after_heartbeats_too() -> None:
    kind = CALLERS["gemini_generate"].stream_kind(array_call())
    whole = ArrayFraming().close()
    assert json.loads(whole) == []
    assert json.loads(kind.opening + kind.heartbeat + whole.removeprefix(kind.opening)) == []


@pytest.mark.parametrize("name", [name for name in CALLERS if name != "gemini_generate"])
def test_an_error_is_the_same_frame_before_and_after_the_first(name: str) -> None:
    dialect, caller = CALLERS[name], plain_call(name)
    kind = dialect.stream_kind(caller)
    assert kind.opening == b""
    assert dialect.error_frame(STALLED, "req_1", kind, is_first=True) == dialect.error_frame(
        STALLED, "req_1", kind
    )


@pytest.mark.parametrize("name", TARGETS)
def test_an_error_after_heartbeats_is_read_as_one(name: str) -> None:
    dialect, caller = TARGETS[name], plain_call(name)
    kind = dialect.stream_kind(caller)
    frame = dialect.error_frame(STALLED, "req_1", kind, is_first=True)
    events, error, _ = read_pieces(dialect, [kind.heartbeat, kind.heartbeat, frame])
    assert "Silence." in error
    assert all(isinstance(event, Ping | ResponseStarted) for event in events)


def test_a_comment_of_ours_is_a_block_of_its_own() -> None:
    assert EVENTS.heartbeat.startswith(b":")
    assert EVENTS.heartbeat.endswith(b"\n\n")
