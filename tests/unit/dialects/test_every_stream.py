"""Streams are the same however their bytes are split: what is read of them, and what a tap lets pass."""

from __future__ import annotations

import pytest

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.fold import fold
from unit.dialects.answers import answers_for, in_pieces, splits, stream_of
from unit.dialects.crossing import CALLERS, TARGETS, plain_call
from unit.dialects.reading_streams import read_pieces, tap_pieces

BINARY = frozenset(["bedrock_converse"])
OVERLOADED = GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, "Too busy.", blame=Blame.UPSTREAM)


def streams_of(name: str) -> dict[str, bytes]:
    """Good ones and bad ones, by what is hard about them."""
    caller = plain_call(name)
    found = {about: stream_of(name, caller, in_pieces(answer)) for about, answer in answers_for(name).items()}
    whole = found["calls after a text"]
    frame = CALLERS[name].error_frame(OVERLOADED, "req_1")
    found |= {
        "one cut off": whole[: len(whole) * 2 // 3],
        "one with an error in it": _some_frames(name, whole) + frame,
        "an error alone": frame,
        "nothing at all": b"",
        "something else": b"<html>Bad gateway</html>",
        "an error in place of the stream": b'{"error":{"message":"no","type":"server_error"}}',
        "more after the end": whole + whole,
    }
    if name not in BINARY:
        found |= {
            "carriage returns": whole.replace(b"\n", b"\r\n"),
            "old Macs": whole.replace(b"\n", b"\r"),
            "comments between": whole.replace(b"\n\n", b"\n\n: still here\n\n"),
            "a mark before": b"\xef\xbb\xbf" + whole,
            "no space after the colon": whole.replace(b"data: ", b"data:"),
            "no empty line at the end": whole.rstrip(b"\n"),
            "broken letters": whole.replace(b"Now", b"N\xff\xfew"),
            "broken JSON": whole.replace(b'"Now', b'"Now"}', 1),
        }
    return found


def _some_frames(name: str, whole: bytes) -> bytes:
    if name in BINARY:
        length = int.from_bytes(whole[:4], "big")
        return whole[:length]
    return b"".join([frame + b"\n\n" for frame in whole.split(b"\n\n")[:3]])


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_is_read_however_the_bytes_are_split(name: str) -> None:
    for about, data in streams_of(name).items():
        whole = read_pieces(TARGETS[name], [data])
        for way, pieces in splits(data).items():
            assert read_pieces(TARGETS[name], pieces) == whole, f"{about}, in pieces of {way}"


@pytest.mark.parametrize("name", CALLERS)
def test_a_tap_lets_the_same_pass_however_the_bytes_are_split(name: str) -> None:
    for about, data in streams_of(name).items():
        caller = plain_call(name)
        whole = tap_pieces(CALLERS[name], caller, [data])
        for way, pieces in splits(data).items():
            assert tap_pieces(CALLERS[name], caller, pieces) == whole, f"{about}, in pieces of {way}"


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_stream_is_read_to_its_end_and_tapped_byte_for_byte(name: str) -> None:
    for about in answers_for(name):
        data = streams_of(name)[about]
        events, error, reading = read_pieces(TARGETS[name], [data])
        assert error == "", about
        assert reading.usage is not None, about
        assert fold(events).choices[0].finish.reason, about
        if about != "nothing":
            assert fold(events).choices[0].parts, about
        assert tap_pieces(TARGETS[name], plain_call(name), [data])[:2] == (data, ""), about


@pytest.mark.parametrize("name", TARGETS)
def test_a_bad_stream_is_never_taken_for_a_good_one(name: str) -> None:
    streams = streams_of(name)
    for about in (
        "one cut off", "one with an error in it", "an error alone", "nothing at all", "something else",
        "an error in place of the stream",
    ):  # fmt: skip
        assert read_pieces(TARGETS[name], [streams[about]])[1] != "", about
        assert tap_pieces(TARGETS[name], plain_call(name), [streams[about]])[1] != "", about
