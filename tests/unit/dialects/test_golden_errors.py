"""Every provider's errors, told to the callers of every dialect."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.anthropic_messages import DIALECT as ANTHROPIC_MESSAGES
from tollhouse.dialects.bedrock_converse import DIALECT as BEDROCK_CONVERSE
from tollhouse.dialects.cohere_chat import DIALECT as COHERE_CHAT
from tollhouse.dialects.gemini_generate import DIALECT as GEMINI_GENERATE
from tollhouse.dialects.openai_chat import DIALECT as OPENAI_CHAT
from tollhouse.dialects.openai_responses import DIALECT as OPENAI_RESPONSES
from tollhouse.ports.dialect import Dialect
from tollhouse.wire.aws_eventstream import MessageSplitter
from unit.dialects.golden_errors import (
    ANTHROPIC,
    BEDROCK,
    BLOCKED,
    CHAT,
    COHERE,
    DOWN,
    GEMINI,
    GOLDEN,
    LIMITED,
    OPERATOR,
    RESPONSES,
    TOO_LONG,
    UPSTREAM,
    Golden,
)

DIALECTS: dict[str, Dialect] = {
    CHAT: OPENAI_CHAT,
    RESPONSES: OPENAI_RESPONSES,
    ANTHROPIC: ANTHROPIC_MESSAGES,
    GEMINI: GEMINI_GENERATE,
    BEDROCK: BEDROCK_CONVERSE,
    COHERE: COHERE_CHAT,
}
RECOGNISED = {
    CHAT: "maximum context length.*tokens",
    RESPONSES: "maximum context length.*tokens",
    ANTHROPIC: "prompt is too long|exceed context limit",
    GEMINI: "input token count.*exceeds the maximum number of tokens",
    BEDROCK: "too long",
    COHERE: "too many tokens",
}
"""What agents of each dialect look for before they make a conversation shorter."""
ROWS = [pytest.param(row, id=row.name) for row in GOLDEN]


def understood(row: Golden) -> GatewayError:
    """What the upstream's dialect makes of it, with an error's status or in place of an answer."""
    dialect = DIALECTS[row.dialect]
    if row.status >= 400:
        return dialect.upstream_error(row.status, row.raw, row.header)
    with pytest.raises(GatewayError) as caught:
        dialect.tap_unary(row.raw, Operation.CHAT)
    return caught.value


class Seen:
    """What a caller finds in an error, wherever the dialect puts it."""

    def __init__(self, dialect: str, body: bytes) -> None:
        document: dict[str, Any] = json.loads(body)
        inner = document if dialect == COHERE else document["error"]
        ours = inner
        if dialect == GEMINI:
            assert document["error"]["code"] == inner["code"]
            ours = inner["details"][0]["metadata"]
        self.type = {GEMINI: inner.get("status"), BEDROCK: document.get("__type")}.get(
            dialect, inner.get("type")
        )
        self.message: str = document["message"] if dialect == BEDROCK else inner["message"]
        self.ours = {name: ours[name] for name in ("code", "request_id", "source", "hint")}
        self.http_code = inner["code"] if dialect == GEMINI else None


def test_there_are_enough_of_them_and_none_twice() -> None:
    assert len(GOLDEN) >= 100
    assert len({row.name for row in GOLDEN}) == len(GOLDEN)


@pytest.mark.parametrize("row", ROWS)
def test_what_the_upstream_says_is_understood(row: Golden) -> None:
    error = understood(row)
    assert (error.kind, error.blame) == (row.kind, row.blame)
    assert row.words in error.message
    assert error.retry_after_s == row.wait_s
    assert (error.source, error.status) == ("upstream", row.told.status)
    assert error.hint
    if 400 <= row.status < 500 and row.status != 424:
        assert error.status == row.status, "an upstream's 4xx keeps its status"


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("row", ROWS)
def test_callers_of_every_dialect_are_told_in_its_words(row: Golden, client: str) -> None:
    error = understood(row)
    seen = Seen(client, DIALECTS[client].error_body(error, "req-7"))
    assert seen.ours == {
        "code": row.kind.value, "request_id": "req-7", "source": "upstream", "hint": error.hint,
    }  # fmt: skip
    assert row.words in seen.message
    if row.kind is TOO_LONG:
        assert re.search(RECOGNISED[client], seen.message, re.IGNORECASE | re.DOTALL)
    else:
        assert seen.message == error.message
    told = row.told
    words = {
        CHAT: told.openai,
        RESPONSES: told.openai,
        ANTHROPIC: told.anthropic,
        GEMINI: told.google,
        BEDROCK: told.aws,
    }
    if client in words:
        assert seen.type == words[client]
    assert seen.http_code in (None, told.status)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("row", ROWS)
def test_in_a_stream_the_same_is_told(row: Golden, client: str) -> None:
    error = understood(row)
    frame = DIALECTS[client].error_frame(error, "req-7")
    if client == BEDROCK:
        (message,) = MessageSplitter(10**6).feed(frame)
        assert message.headers[":message-type"] == "exception"
        assert row.words in json.loads(message.payload)["message"]
        return
    events = [json.loads(line[6:]) for line in frame.split(b"\n") if line.startswith(b"data: ")]
    assert events
    assert row.words in json.dumps(events, ensure_ascii=False).replace('\\"', '"')
    assert "req-7" in json.dumps(events)


@pytest.mark.parametrize(
    "row", [param for param in ROWS if param.values[0].kind is DOWN and param.values[0].blame is OPERATOR]
)
def test_callers_are_told_that_their_own_key_is_fine(row: Golden) -> None:
    assert "your key is fine" in understood(row).hint


def test_numbers_the_provider_told_are_told_in_the_callers_sentence() -> None:
    row = next(row for row in GOLDEN if row.name == "xai overflow")
    error = understood(row)
    sentences = {
        name: Seen(name, dialect.error_body(error, "r")).message for name, dialect in DIALECTS.items()
    }
    assert sentences[ANTHROPIC].startswith("prompt is too long: 537812 tokens > 131072 maximum. ")
    assert sentences[CHAT].startswith(
        "This model's maximum context length is 131072 tokens. However, your messages "
    )
    assert "resulted in 537812 tokens. " in sentences[CHAT]
    assert sentences[GEMINI].startswith(
        "The input token count (537812) exceeds the maximum number of tokens allowed (131072)"
    )
    assert all(sentence.endswith(error.message) for sentence in sentences.values())


def test_what_else_openais_clients_read_is_kept() -> None:
    rows = {row.name: row for row in GOLDEN}
    for name, member in (
        ("groq tool", "failed_generation"),
        ("azure filter", "innererror"),
        ("openrouter moderation", "metadata"),
    ):
        row = rows[name]
        assert isinstance(row.body, dict)
        told = json.loads(OPENAI_CHAT.error_body(understood(row), "r"))["error"]
        assert told[member] == row.body["error"][member]


def test_every_kind_of_refusal_is_among_them() -> None:
    assert {BLOCKED, TOO_LONG, DOWN} < {row.kind for row in GOLDEN}


SAID = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error", "errors", "message", "Message", "detail", "details", "code", "type", "status", "param",
                    "msg", "loc", "metadata", "raw", "innererror", "reason", "retryDelay", "__type", "flagged_input",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(status=st.integers(400, 599), said=SAID)
def test_whatever_is_said_is_understood_and_told(status: int, said: object) -> None:
    raw = json.dumps(said).encode()
    for dialect in DIALECTS.values():
        error = dialect.upstream_error(status, raw, None)
        assert error.message
        for client, other in DIALECTS.items():
            assert Seen(client, other.error_body(error, "r")).message


@pytest.mark.parametrize(
    ("wait_s", "delay"),
    [(0.02, "0.02s"), (3.0, "3s"), (62.5, "62.5s"), (1_234_567.0, "1234567s"), (0.0, "0s")],
)
def test_googles_clients_find_the_wait_as_protobuf_writes_it(wait_s: float, delay: str) -> None:
    error = GatewayError(LIMITED, "Slow down.", blame=UPSTREAM, retry_after_s=wait_s)
    details = json.loads(GEMINI_GENERATE.error_body(error, "r"))["error"]["details"]
    assert details[1]["retryDelay"] == delay
