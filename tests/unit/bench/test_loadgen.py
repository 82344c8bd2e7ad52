"""What wrk printed is believed only when every request went well."""

from __future__ import annotations

import json

import pytest

from bench.bodies import ANSWER, REQUEST
from bench.loadgen import parse, script
from bench.problems import RunVoid


def printed(**counts: int) -> str:
    document = {
        "requests": 1000,
        "duration_us": 2_000_000,
        "bytes": 1000 * (len(ANSWER) + 120),
        "p50_us": 1500,
        "p99_us": 9000,
        **dict.fromkeys(("connect", "read", "write", "status", "timeout"), 0),
        **counts,
    }
    return f"Running 2s test\n  1000 requests in 2.00s\nBENCH {json.dumps(document)}\n"


def test_counts_are_read_when_all_went_well():
    load = parse(printed())
    assert (load.requests, load.wall_s, load.p50_ms, load.p99_ms) == (1000, 2.0, 1.5, 9.0)
    assert load.per_s == 500


@pytest.mark.parametrize("failure", ["connect", "read", "write", "status", "timeout"])
def test_run_is_void_when_one_request_failed(failure):
    with pytest.raises(RunVoid, match=": 1"):
        parse(printed(**{failure: 1}))


def test_run_is_void_when_answers_are_shorter_than_the_upstreams():
    with pytest.raises(RunVoid, match="shorter"):
        parse(printed(bytes=1000 * 50))


def test_run_is_void_when_nothing_was_answered():
    with pytest.raises(RunVoid, match="not one"):
        parse(printed(requests=0, bytes=0))


def test_run_is_void_when_wrk_counted_nothing():
    with pytest.raises(RunVoid, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1")


def test_script_holds_the_body_and_the_key_as_they_are():
    text = script("sk-a")
    assert REQUEST.decode() in text
    assert '"Bearer sk-a"' in text


def test_bodies_have_the_sizes_the_bench_speaks_of():
    assert 150 <= len(REQUEST) <= 260
    assert 500 <= len(ANSWER) <= 700
