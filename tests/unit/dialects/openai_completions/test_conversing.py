"""Callers of completions in front of models that converse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion

from tollhouse.core.content import Message, Refusal, Role, Text, Thinking, TokenLogprob, ToolCall
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.events import Ping
from tollhouse.core.fold import unfold
from tollhouse.core.operation import Operation
from tollhouse.core.request import ModelRequest, Sampling
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_completions import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import ChatFaces, Scene

assert DIALECT.chat is not None
CHAT: ChatFaces = DIALECT.chat
SCENE = Scene(id="x1", now=7, model="route")
ANSWER = ModelResponse(
    id="up",
    model="up-model",
    choices=(
        Choice(
            parts=(
                Thinking(text="hm"),
                Text(
                    text="hi yo",
                    logprobs=(
                        TokenLogprob(token="hi", logprob=-0.5, top=(TokenLogprob(token="ho", logprob=-1),)),
                        TokenLogprob(token=" yo", logprob=-0.25),
                    ),
                ),
                ToolCall(id="a", name="f", arguments="{}"),
            ),
            finish=Finish(reason=FinishReason.TOOL_CALLS),
        ),
        Choice(parts=(Refusal(text="no"),), finish=Finish(reason=FinishReason.LENGTH)),
    ),
    usage=Usage(input_uncached_tokens=3, output_text_tokens=2),
)


def call(**members: Any) -> ClientCall:
    body = json.dumps({"model": "m", "prompt": "hi", **members}).encode()
    return DIALECT.read(Ask(operation=Operation.TEXT_COMPLETION, body=body))


def test_a_prompt_is_what_the_user_says() -> None:
    asked, left = CHAT.read_request(
        call(
            max_tokens=5, temperature=1, top_p=0.5, n=2, stop=["a"], seed=1, logprobs=3, user="u", best_of=2,
            echo=False, suffix=None, vendor=1,
        )
    )  # fmt: skip
    assert asked == ModelRequest(
        model="m",
        messages=(Message(role=Role.USER, parts=(Text(text="hi"),)),),
        sampling=Sampling(temperature=1, top_p=0.5, n=2, stop=("a",), seed=1, logprobs=True, top_logprobs=3),
        max_output_tokens=5,
        end_user="u",
    )
    assert left == ("vendor",)
    assert CHAT.read_request(call(prompt=["hi"]))[0].messages == asked.messages


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"suffix": "x"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
    ],
)
def test_what_a_conversation_cannot_do_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.read_request(call(**members))
    assert caught.value.kind is ErrorKind.UNSUPPORTED_PARAMETER
    assert caught.value.param == param
    assert caught.value.hint


@pytest.mark.parametrize("prompt", [None, []])
def test_no_prompt_is_no_question(prompt: object) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.read_request(call(prompt=prompt))
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.param == "prompt"


def test_an_answer_is_a_text_completion_without_what_callers_cannot_read() -> None:
    body = CHAT.write_response(ANSWER, call(), SCENE)
    found = Completion.model_validate_json(body, strict=True)
    assert (found.id, found.object, found.created, found.model) == (
        "cmpl-x1",
        "text_completion",
        7,
        "up-model",
    )
    assert [(c.index, c.text, c.finish_reason) for c in found.choices] == [
        (0, "hi yo", "stop"),
        (1, "no", "length"),
    ]
    logprobs = found.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["hi", " yo"]
    assert logprobs.token_logprobs == [-0.5, -0.25]
    assert logprobs.top_logprobs == [{"ho": -1}, {}]
    assert logprobs.text_offset == [0, 2]
    assert found.usage is not None
    assert found.usage.total_tokens == 5


@pytest.mark.parametrize("asks", [True, False])
def test_a_stream_says_the_same_piece_by_piece(asks: bool) -> None:
    writer = CHAT.write_stream(call(stream=True, stream_options={"include_usage": asks}), SCENE)
    out = writer.write([Ping(), *unfold(ANSWER)]) + writer.finish()
    frames = out.decode().split("\n\n")
    assert frames[0] == ": ping"
    assert frames[-2:] == ["data: [DONE]", ""]
    chunks = [Completion.construct(**json.loads(frame.removeprefix("data: "))) for frame in frames[1:-2]]
    texts = {0: "", 1: ""}
    ends = {}
    for chunk in chunks:
        assert (chunk.id, chunk.created, chunk.model) == ("cmpl-x1", 7, "up-model")
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert texts == {0: "hi yo", 1: "no"}
    assert ends == {0: "stop", 1: "length"}
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([5] if asks else [])
    assert b'"tool_calls"' not in out


def test_nobody_else_can_converse_with_a_completions_endpoint() -> None:
    for use in (
        lambda: CHAT.write_request(ModelRequest(model="m", messages=()), Traits()),
        lambda: CHAT.read_response(b"{}"),
        CHAT.read_stream,
    ):
        with pytest.raises(GatewayError) as caught:
            use()
        assert caught.value.kind is ErrorKind.UNSUPPORTED_PARAMETER
