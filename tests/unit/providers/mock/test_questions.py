from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.operation import Operation
from tollhouse.providers.mock.questions import Call, Question, Refused, read


def call(path: str, body: object = None, method: str = "POST") -> Call:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Call(number=1, method=method, path=path, headers={}, body=raw)


def chat(**fields: object) -> Call:
    asked = {"model": "mock-chat", "messages": [{"role": "user", "content": "hello world"}]} | fields
    return call("/v1/chat/completions", asked)


def test_chat_counts_the_words_of_all_messages_and_keeps_the_users():
    messages = [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "one two"}, {"type": "image_url", "image_url": {}}],
        },
        {"role": "assistant", "content": None},
    ]
    question = read(chat(messages=messages))
    assert question.prompt_tokens == 4
    assert [prompt.strip() for prompt in question.prompts] == ["one two"]


def test_chat_takes_the_newer_limit_when_both_are_given():
    assert read(chat(max_tokens=9, max_completion_tokens=3)).max_tokens == 3
    assert read(chat(max_tokens=9)).max_tokens == 9


def test_model_is_asked_for_by_its_bare_name_when_a_script_follows():
    assert read(chat(model="gpt-x@fault=cut")).model == "gpt-x"


def test_stream_wants_usage_only_when_it_is_asked():
    assert read(chat(stream=True, stream_options={"include_usage": True})).wants_usage
    assert not read(chat(stream=True)).wants_usage
    assert read(chat(stream=True)).is_stream


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}


def test_tool_is_forced_by_name_or_by_requiring_any():
    named = {"type": "function", "function": {"name": "weather"}}
    assert read(chat(tools=[TOOL], tool_choice=named)).forced_tool == "weather"
    assert read(chat(tools=[TOOL], tool_choice="required")).forced_tool == "weather"
    assert read(chat(tools=[TOOL], tool_choice="auto")).forced_tool is None
    assert read(chat(tools=[TOOL])).forced_tool is None


@pytest.mark.parametrize(
    ("prompt", "tokens"), [("a b", 2), (["a", "b c"], 3), ([1, 2, 3], 3), ([[1, 2], [3]], 3), ([], 0)]
)
def test_completion_takes_a_prompt_in_every_form(prompt: object, tokens: int):
    question = read(call("/v1/completions", {"model": "m", "prompt": prompt}))
    assert (question.operation, question.prompt_tokens) == (Operation.TEXT_COMPLETION, tokens)


def test_embeddings_are_asked_as_floats_or_base64_in_the_size_wanted():
    question = read(
        call("/v1/embeddings", {"model": "m", "input": ["a"], "dimensions": 3, "encoding_format": "base64"})
    )
    assert (question.dimensions, question.wants_base64) == (3, True)


def test_models_are_listed_for_a_get():
    assert read(call("/v1/models?limit=3", method="GET")).operation is Operation.LIST_MODELS


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        (chat(messages=[]), 400, "messages"),
        (chat(messages="hello"), 400, None),
        (chat(model=None), 400, None),
        (chat(n=0), 400, "n"),
        (chat(n=129), 400, "n"),
        (chat(max_tokens=0), 400, "max_tokens"),
        (chat(tool_choice="required"), 400, "tool_choice"),
        (chat(tool_choice={"function": {"name": "other"}}, tools=[TOOL]), 400, "tool_choice"),
        (call("/v1/chat/completions", b"{"), 400, None),
        (call("/v1/chat/completions", b'{"model":"\xff"}'), 400, None),
        (call("/v1/embeddings", {"model": "m", "input": []}), 400, "input"),
        (call("/v1/embeddings", {"model": "m", "input": [{}]}), 400, "input"),
        (call("/v1/embeddings", {"model": "m", "input": "a", "dimensions": 0}), 400, "dimensions"),
        (
            call("/v1/embeddings", {"model": "m", "input": "a", "encoding_format": "x"}),
            400,
            "encoding_format",
        ),
        (call("/v1/responses", {}), 404, None),
        (call("/chat/completions", {}), 404, None),
        (call("/v1/models", {}), 405, None),
        (call("/v1/embeddings", method="GET"), 405, None),
    ],
)
def test_request_is_refused_as_openai_would_when_it_is_not_sound(asked: Call, status: int, param: str | None):
    with pytest.raises(Refused) as refusal:
        read(asked)
    assert (refusal.value.status, refusal.value.param) == (status, param)
    assert refusal.value.message.endswith(".")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FIELDS = ["model", "messages", "prompt", "input", "n", "tools", "tool_choice", "stream_options", "max_tokens"]


@given(
    st.sampled_from(["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values) | json_values,
)
def test_any_body_is_read_or_refused_with_a_client_error(path: str, body: object):
    outcome: object
    try:
        outcome = read(call(path, body))
    except Refused as refused:
        outcome = refused.status
    assert outcome == 400 or isinstance(outcome, Question)
