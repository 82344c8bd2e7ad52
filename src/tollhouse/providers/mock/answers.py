"""The mock's answers: bodies and frames in OpenAI's shape, the same for the same question.

Tokens are words, told by the spaces between them. A prompt's tokens are the words of all its texts; an answer's tokens
are its chunks of content, and a chunk is one word unless the script sizes it otherwise. Ids end in the number of the
call, times are fixed.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any, Final

import msgspec

from tollhouse.core.operation import Operation

from .questions import Question, Refused
from .script import Script

MODELS: Final = ("mock-chat", "mock-completion", "mock-embedding")
"""Those that are listed; any other name is answered too."""
CREATED: Final = 1_700_000_000
DONE: Final = b"data: [DONE]\n\n"
ECHO_LETTERS: Final = 200
"""How much of the prompt comes back."""
_TOOL_PIECES: Final = 3
_ERROR_TYPES: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("server_error", "timeout"),
    429: ("requests", "rate_limit_exceeded"),
}


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is said, in the chunks a stream says it in."""

    pieces: Sequence[str]
    finish_reason: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def error_body(
    status: int, message: str | None = None, code: str | None = None, param: str | None = None
) -> bytes:
    """An error in OpenAI's shape."""
    kind, usual_code = _ERROR_TYPES.get(
        status, ("server_error", "server_error") if status >= 500 else ("invalid_request_error", None)
    )
    said = message or f"The mock was told to answer with status {status}."
    return _json({"error": {"message": said, "type": kind, "param": param, "code": code or usual_code}})


def refusal_body(refused: Refused) -> bytes:
    """The error for a request that cannot be answered."""
    return error_body(refused.status, refused.message, refused.code, refused.param)


def frame(payload: bytes) -> bytes:
    """One server-sent event."""
    return b"data: %b\n\n" % payload


def content_of(question: Question, script: Script) -> Content:
    """What will be said: an echo of the prompt, or a call of the tool that was forced."""
    echo = question.prompts[-1][:ECHO_LETTERS] if question.prompts else ""
    if question.forced_tool is not None:
        arguments = _json({"echo": echo}).decode()
        count = _TOOL_PIECES if script.chunks is None else max(script.chunks, 1)
        return Content(pieces=_cut_evenly(arguments, count), finish_reason="tool_calls")
    said = f"Mock answer to: {echo}".split() if echo.strip() else ["Mock", "answer", "to", "nothing."]
    if script.chunks is not None:
        return Content(pieces=_sized(said, script.chunks, script.chunk_bytes), finish_reason="stop")
    count = min(len(said), question.max_tokens or len(said))
    reason = "stop" if count == len(said) else "length"
    return Content(pieces=_sized(said, count, script.chunk_bytes), finish_reason=reason)


def _sized(said: Sequence[str], count: int, size_bytes: int | None) -> list[str]:
    """`count` chunks, the words over and over; each but the last ends in a space."""
    if count == 0:
        return []
    inner = [_fitted(word, " ", size_bytes) for word in said]
    pieces = list(islice(cycle(inner), count - 1))
    pieces.append(_fitted(said[(count - 1) % len(said)], "", size_bytes))
    return pieces


def _fitted(word: str, tail: str, size_bytes: int | None) -> str:
    if size_bytes is None:
        return word + tail
    room = max(size_bytes - len(tail), 0)
    kept = word.encode()[:room].decode(errors="ignore")
    return (kept + "." * (room - len(kept.encode())) + tail)[:size_bytes]


def _cut_evenly(text: str, count: int) -> list[str]:
    step = math.ceil(len(text) / count)
    return [text[at : at + step] for at in range(0, len(text), step)]


def usage_of(question: Question, content: Content) -> dict[str, Any]:
    """The numbers of a generated answer; every choice is counted."""
    completion = len(content.pieces) * question.choices
    return {
        "prompt_tokens": question.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": question.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def unary(question: Question, script: Script) -> bytes:
    """The whole answer to a question that does not stream."""
    match question.operation:
        case Operation.LIST_MODELS:
            return _json({"object": "list", "data": [_model(name) for name in MODELS]})
        case Operation.EMBEDDINGS:
            return _json(_embeddings(question))
        case _:
            content = content_of(question, script)
            choices = [_choice(question, content, index) for index in range(question.choices)]
            return _json(_head(question) | {"choices": choices, "usage": usage_of(question, content)})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "mock"}


def _head(question: Question, *, is_stream: bool = False) -> dict[str, Any]:
    is_chat = question.operation is Operation.CHAT
    kind = ("chat.completion.chunk" if is_stream else "chat.completion") if is_chat else "text_completion"
    return {
        "id": f"{'chatcmpl' if is_chat else 'cmpl'}-mock-{question.number}",
        "object": kind,
        "created": CREATED,
        "model": question.model,
        "system_fingerprint": "fp_mock",
    }


def _choice(question: Question, content: Content, index: int) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": content.finish_reason}
    if question.operation is Operation.TEXT_COMPLETION:
        return choice | {"text": content.text}
    message: dict[str, Any] = {"role": "assistant", "content": content.text, "refusal": None}
    if question.forced_tool is not None:
        message |= {"content": None, "tool_calls": [_tool_call(question, index, content.text)]}
    return choice | {"message": message}


def _tool_call(question: Question, index: int, arguments: str) -> dict[str, Any]:
    function = {"name": question.forced_tool, "arguments": arguments}
    return {"id": f"call_mock_{question.number}_{index}", "type": "function", "function": function}


def opening_frames(question: Question) -> Iterator[bytes]:
    """What comes before content: in chat the role of each choice, with the tool's name where one is called."""
    if question.operation is not Operation.CHAT:
        return
    for index in range(question.choices):
        delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if question.forced_tool is not None:
            delta |= {"content": None, "tool_calls": [{"index": 0} | _tool_call(question, index, "")]}
        yield _chunk(question, [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])


def content_frames(question: Question, content: Content) -> Iterator[bytes]:
    """One chunk after the other; with several choices, each chunk once for every choice, as one block of frames.

    Words come again and again in long answers: each distinct chunk is made once.
    """
    made: dict[str, bytes] = {}
    for piece in content.pieces:
        frames = made.get(piece)
        if frames is None:
            frames = made[piece] = b"".join(
                _chunk(question, [_piece(question, piece, index)]) for index in range(question.choices)
            )
        yield frames


def _piece(question: Question, piece: str, index: int) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": None}
    if question.operation is Operation.TEXT_COMPLETION:
        return choice | {"text": piece}
    if question.forced_tool is not None:
        return choice | {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}
    return choice | {"delta": {"content": piece}}


def closing_frames(question: Question, content: Content) -> Iterator[bytes]:
    """The finish reason of each choice, usage if it was asked for, and the end."""
    nothing: dict[str, Any] = (
        {"text": ""} if question.operation is Operation.TEXT_COMPLETION else {"delta": {}}
    )
    for index in range(question.choices):
        end = {"index": index, "logprobs": None, "finish_reason": content.finish_reason}
        yield _chunk(question, [end | nothing])
    if question.wants_usage:
        yield frame(
            _json(_head(question, is_stream=True) | {"choices": [], "usage": usage_of(question, content)})
        )
    yield DONE


def _chunk(question: Question, choices: list[dict[str, Any]]) -> bytes:
    body = _head(question, is_stream=True) | {"choices": choices}
    if question.wants_usage:
        body["usage"] = None
    return frame(_json(body))


def _embeddings(question: Question) -> dict[str, Any]:
    vectors = [_vector(text, question.dimensions) for text in question.prompts]
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(vector) if question.wants_base64 else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": question.model,
        "usage": {"prompt_tokens": question.prompt_tokens, "total_tokens": question.prompt_tokens},
    }


def _vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that hangs on the text alone."""
    noise = hashlib.shake_256(text.encode(errors="surrogatepass")).digest(2 * dimensions)
    raw = [number - 32_767.5 for number in struct.unpack(f"<{dimensions}H", noise)]
    length = math.sqrt(sum(number * number for number in raw))
    return [number / length for number in raw]


def _packed(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats in base64, what OpenAI's own SDKs ask for."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
