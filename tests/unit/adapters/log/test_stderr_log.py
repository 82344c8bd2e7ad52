"""The log is one line an event, and nobody but the house can write one."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest

from tollhouse.adapters.log import StderrLog
from tollhouse.core.secret import Secret


def log(*, as_json: bool) -> tuple[StderrLog, io.StringIO]:
    stream = io.StringIO()
    return StderrLog(
        as_json=as_json, stream=stream, now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ), stream


def test_json_line_has_time_level_event_and_fields() -> None:
    written, stream = log(as_json=True)
    written.warning("worker_died", exit_status=1, why=None)
    expected = {
        "at": "2026-01-02T03:04:05.000Z",
        "level": "warning",
        "event": "worker_died",
        "exit_status": 1,
        "why": None,
    }
    assert json.loads(stream.getvalue()) == expected


@pytest.mark.parametrize("as_json", [True, False])
def test_event_is_one_line_whatever_its_fields_hold(as_json: bool) -> None:
    written, stream = log(as_json=as_json)
    written.error("defect", where='a\nlevel=info event=ready\r\x1b[2J"', count=3)
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_secret_in_a_field_is_not_shown(as_json: bool) -> None:
    written, stream = log(as_json=as_json)
    written.info("resolved", value=Secret("sk-canary"))
    assert "sk-canary" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_long_field_is_cut() -> None:
    written, stream = log(as_json=True)
    written.info("said", text="x" * 10_000)
    assert len(stream.getvalue()) < 5_000


@pytest.mark.parametrize("as_json", [True, False])
def test_list_is_a_list_in_json_and_stays_on_its_line(as_json: bool) -> None:
    written, stream = log(as_json=as_json)
    written.error("loop_blocked", stack=["a.py:1 one", "b.py:2\ntwo", *["more"] * 200])
    assert stream.getvalue().count("\n") == 1
    if as_json:
        stack = json.loads(stream.getvalue())["stack"]
        assert stack[:2] == ["a.py:1 one", "b.py:2\ntwo"]
        assert len(stack) == 100
