"""Streams to be cut and sliced: recorded ones where there are any, else such as the rig writes itself."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

from chaos import speech

_LARGEST_BYTES = 40_000
_TERMINAL = {
    speech.CHAT: re.compile(rb'"finish_reason": ?"'),
    speech.RESPONSES: re.compile(rb'"type": ?"response\.(?:completed|incomplete|failed)"'),
    speech.ANTHROPIC: re.compile(rb'"type": ?"message_stop"'),
    speech.GEMINI: re.compile(rb'"finishReason": ?"'),
}


def streams(dialect: str, limit: int = 40) -> list[bytes]:
    """Whole streams of a dialect, recorded ones first choice."""
    recorded = [data for data in _recorded(dialect) if _is_fit(dialect, data)]
    return recorded[:limit] or [_written(dialect, seed) for seed in range(limit)]


def last_cut(dialect: str, data: bytes) -> int:
    """Cut there or before, a stream is not whole: the terminal event's JSON lacks a brace at least."""
    match = _TERMINAL[dialect].search(data)
    assert match is not None
    end = data.find(b"\n", match.end())
    return data.rindex(b"}", match.end(), end if end >= 0 else len(data))


def _recorded(dialect: str) -> Iterator[bytes]:
    path = Path(os.environ.get("TOLLHOUSE_CORPUS", "/nowhere")) / "dev" / f"{dialect}.jsonl.gz"
    if not path.exists():
        return
    with gzip.open(path, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["status"] == 200 and record["response_kind"] == "sse":
                yield "".join(record["stream"]).encode()


def _is_fit(dialect: str, data: bytes) -> bool:
    if not 200 < len(data) < _LARGEST_BYTES or not _TERMINAL[dialect].search(data):
        return False
    heard = speech.listen(dialect, data if data.endswith(b"\n\n") else data + b"\n\n")
    return heard.is_whole and not heard.faults and heard.error is None


def _written(dialect: str, seed: int) -> bytes:
    draw = random.Random(seed)
    words = [draw.choice(["naïve ", "日本 ", "🙂 ", 'quoted "x" ', "plain "]) for _ in range(20 + seed)]
    return b"".join(speech.frames(dialect, words))
