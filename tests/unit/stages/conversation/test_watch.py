"""Answers looked at once, at their end, however they come."""

from __future__ import annotations

import json

import pytest

from tollhouse.core.errors import GatewayError
from tollhouse.dialects.openai_responses.tap import ResponsesTap
from tollhouse.stages.conversation.watch import WatchedTap, final_response


def frame(kind: str, **members: object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + json.dumps({"type": kind, **members}).encode() + b"\n\n"


CREATED = frame("response.created", response={"id": "resp_1", "status": "in_progress"})
DELTA = frame("response.output_text.delta", delta="a")
DONE = frame("response.completed", response={"id": "resp_1", "status": "completed", "output": []})


def watched() -> tuple[WatchedTap, list[bytes]]:
    notes: list[bytes] = []
    return WatchedTap(ResponsesTap(), notes.append), notes


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_stream_is_noted_once_and_goes_out_as_it_came(size: int) -> None:
    tap, notes = watched()
    text = CREATED + DELTA * 3 + DONE
    out = b"".join(tap.feed(text[i : i + size]) for i in range(0, len(text), size))
    tap.end()
    assert out == text
    assert [json.loads(note)["id"] for note in notes] == ["resp_1"]
    assert (tap.is_done, tap.has_content) == (True, True)


def test_last_event_without_its_empty_line_is_noted() -> None:
    tap, notes = watched()
    out = tap.feed(CREATED + DONE[:-1])
    tap.end()
    assert out + tap.salvage == CREATED + DONE[:-1]
    assert len(notes) == 1


def test_stream_that_fails_is_not_noted_and_its_salvage_is_kept() -> None:
    tap, notes = watched()
    with pytest.raises(GatewayError):
        tap.feed(CREATED + frame("response.failed", response={"id": "resp_1", "status": "failed"}))
    assert tap.salvage == CREATED
    assert notes == []


def test_stream_that_is_cut_is_not_noted() -> None:
    tap, notes = watched()
    tap.feed(CREATED + DELTA)
    with pytest.raises(GatewayError):
        tap.end()
    assert notes == []


def test_what_an_answer_goes_on_from_is_told_where_only_the_house_knows() -> None:
    notes: list[bytes] = []
    tap = WatchedTap(ResponsesTap(), notes.append, b'"previous_response_id":"resp_0"')
    done = DONE.replace(b'"output"', b'"previous_response_id":null,"output"')
    assert b'"previous_response_id":"resp_0"' in tap.feed(done)
    assert json.loads(notes[0])["previous_response_id"] == "resp_0"


def test_response_is_found_in_odd_frames() -> None:
    crlf = DONE.replace(b"\n", b"\r\n")
    assert json.loads(final_response(crlf) or b"")["id"] == "resp_1"
    half = frame("response.incomplete", response={"id": "resp_1", "x": "\ud83d"})
    assert json.loads(final_response(half) or b"")["id"] == "resp_1"
    assert json.loads(final_response(DONE + b"data: [DONE]\n\n") or b"")["id"] == "resp_1"


@pytest.mark.parametrize(
    "frames", [b"", b"<html>\n\n", b"data: {\n\n", DELTA, b'data: {"type":"response.completed"}\n\n']
)
def test_frames_without_a_response_have_none(frames: bytes) -> None:
    assert final_response(frames) is None
