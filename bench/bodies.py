"""The bytes on the wire: one small chat request, its answer, and the frames of a stream."""

from __future__ import annotations

import json
from typing import Final

MODEL: Final = "gpt-4o-mini"
CHUNKS: Final = 200
"""Deltas in one stream."""
MARK: Final = b"toll-"
"""Stands before the number of every delta, so that a reader can tell whether all came, and in order."""
NUMBERS: Final = tuple(b"%03d" % number for number in range(CHUNKS))
_STALL: Final = "stall after the first chunk"

ANSWER_TEXT: Final = (
    "A toll house stood beside the road, and whoever kept it lived in it. The keys hung inside; every "
    "passage was written in a book before the gate was opened, and the book was read out once a month."
)


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


REQUEST: Final = _compact(
    {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a terse assistant."},
            {"role": "user", "content": "In two sentences: what was a toll house, and who lived there?"},
        ],
        "temperature": 0.2,
    }
)

ANSWER: Final = _compact(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1760000000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER_TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 33, "completion_tokens": 42, "total_tokens": 75},
        "system_fingerprint": "fp_bench",
    }
)


def stream_request(*, stalls: bool) -> bytes:
    """A request for a stream: of CHUNKS deltas, or of one delta and then nothing more."""
    return _compact(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": _STALL if stalls else "Count to two hundred."}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )


def is_stall(body: bytes) -> bool:
    """Whether a request body, perhaps written anew by a gateway, asks for a stream that stalls."""
    return _STALL.encode() in body


def is_stream(body: bytes) -> bool:
    """Whether a request body asks for a stream."""
    return b'"stream":true' in body.replace(b" ", b"")


def _event(document: object) -> bytes:
    return b"data: " + _compact(document) + b"\n\n"


def _chunk(choices: list[dict[str, object]], usage: dict[str, int] | None = None) -> bytes:
    document: dict[str, object] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": MODEL,
        "choices": choices,
    }
    return _event(document | ({"usage": usage} if usage else {}))


def _delta(number: int) -> bytes:
    text = f"{MARK.decode()}{number:03d} "
    delta = {"role": "assistant", "content": text} if number == 0 else {"content": text}
    return _chunk([{"index": 0, "delta": delta, "finish_reason": None}])


STREAM: Final = (
    *(_delta(number) for number in range(CHUNKS)),
    _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    _chunk([], {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}),
    b"data: [DONE]\n\n",
)
"""The events of a whole stream, in order."""


def http_request(body: bytes, *, port: int, key: str) -> bytes:
    """The request as a client that keeps its connection sends it."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
