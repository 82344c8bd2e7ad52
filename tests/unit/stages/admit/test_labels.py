"""A call is counted under the tags of its key and its caller, and for the user whom the caller names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import GatewayError
from tollhouse.ports.dialect import ClientCall
from tollhouse.stages.admit import end_user_of, tags_of
from unit.dialects.crossing import call_of, plain_call


def call(dialect: str, **more: Any) -> ClientCall:
    return call_of(dialect, json.dumps(json.loads(plain_call(dialect, stream=False).body) | more).encode())


def test_tags_of_a_key_stay_whatever_its_caller_adds() -> None:
    assert tags_of(("a",), {}) == ("a",)
    assert tags_of(("a",), {b"x-tollhouse-tags": b""}) == ("a",)
    assert tags_of(("a", "b"), {b"x-tollhouse-tags": b" c ,a,, d"}) == ("a", "b", "c", "d")


@pytest.mark.parametrize("text", ["a b", "-a", "a/b", "\xe9", "a" * 65, ",".join("abcdefghijk"), "a\tb"])
def test_what_is_no_tag_is_refused_by_the_headers_name(text: str) -> None:
    with pytest.raises(GatewayError) as refused:
        tags_of((), {b"x-tollhouse-tags": text.encode("latin-1")})
    assert (refused.value.status, refused.value.param) == (400, "x-tollhouse-tags")


@given(st.binary(max_size=300))
def test_any_header_is_tags_or_a_refusal(text: bytes) -> None:
    try:
        tags = tags_of(("own",), {b"x-tollhouse-tags": text})
    except GatewayError:
        return
    assert tags[0] == "own"
    assert len(tags) == len(set(tags)) <= 11


@pytest.mark.parametrize(
    ("dialect", "more", "who"),
    [
        ("openai_chat", {"user": "ann"}, "ann"),
        ("openai_chat", {"user": "ann", "safety_identifier": "bob"}, "bob"),
        ("openai_responses", {"safety_identifier": "bob"}, "bob"),
        ("openai_completions", {"user": "ann"}, "ann"),
        ("anthropic_messages", {"metadata": {"user_id": "ann"}}, "ann"),
        ("anthropic_messages", {"metadata": {"other": "ann"}}, None),
        ("anthropic_messages", {"metadata": None}, None),
        ("openai_chat", {"user": ""}, None),
        ("openai_chat", {"user": 7}, None),
        ("openai_chat", {"user": "x" * 300}, "x" * 200),
        ("openai_chat", {}, None),
        ("gemini_generate", {"user": "ann"}, None),
    ],
)
def test_caller_names_its_user_as_its_wire_api_does(dialect: str, more: Any, who: str | None) -> None:
    assert end_user_of(dialect, call(dialect, **more), {}) == who


def test_header_names_the_user_before_the_body_does() -> None:
    said = call("openai_chat", user="ann")
    assert end_user_of("openai_chat", said, {b"x-tollhouse-end-user": " zoë ".encode()}) == "zoë"
    assert end_user_of("openai_chat", said, {b"x-tollhouse-end-user": b"  "}) is None
    assert end_user_of("openai_chat", said, {b"x-tollhouse-end-user": b"\xff"}) == "\ufffd"
