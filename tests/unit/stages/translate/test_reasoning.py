"""Signed thoughts reach the issuer again, whatever the client did to them, and nobody else."""

from __future__ import annotations

import pytest

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.core.content import Message, Part, Role, Signature, Text, Thinking, ToolCall, ToolResult
from tollhouse.core.fold import unfold
from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.stages.translate.reasoning import Remembering, keep_reasoning, with_reasoning
from tollhouse.testing import FakeClock

CLAUDE = Signature(issuer="anthropic", value="c2ln+/==")
GEMINI = Signature(issuer="gemini", value="Z2Vt")
THOUGHT = Thinking(text="Let me look.", signature=CLAUDE)
CALL = ToolCall(id="call_1", name="look", arguments="{}")
RESULT = Message(role=Role.USER, parts=(ToolResult(call_id="call_1", parts=(Text(text="seen"),)),))
ASK = Message(role=Role.USER, parts=(Text(text="hi"),))


def turn(*parts: Part) -> ModelRequest:
    return ModelRequest(model="m", messages=(ASK, Message(role=Role.ASSISTANT, parts=parts), RESULT))


def assistant(request: ModelRequest) -> tuple[Part, ...]:
    return request.messages[1].parts


@pytest.mark.parametrize("as_stream", [False, True])
def test_thought_is_given_back_where_the_client_lost_it(as_stream: bool) -> None:
    recall = MemoryRecall(FakeClock())
    parts: tuple[Part, ...] = (THOUGHT, Text(text="One moment."), CALL)
    if as_stream:
        remembering = Remembering(recall, "t")
        choice = Choice(parts=parts, finish=Finish(reason=FinishReason.TOOL_CALLS))
        for event in unfold(ModelResponse(id="r", model="m", choices=(choice,))):
            remembering.note([event])
        remembering.keep()
    else:
        keep_reasoning(parts, recall, "t")
    request, losses = with_reasoning(turn(Text(text="One moment."), CALL), "anthropic", recall, "t")
    assert assistant(request) == parts
    assert losses == []


def test_thought_that_came_back_is_left_as_it_is() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, CALL), recall, "t")
    asked = turn(THOUGHT, CALL)
    assert with_reasoning(asked, "anthropic", recall, "t")[0] == asked


def test_signature_of_a_call_is_given_back() -> None:
    recall = MemoryRecall(FakeClock())
    signed = ToolCall(id="call_1", name="look", arguments="{}", signature=GEMINI)
    keep_reasoning((signed,), recall, "t")
    assert assistant(with_reasoning(turn(CALL), "gemini", recall, "t")[0]) == (signed,)


def test_thoughts_between_calls_go_back_between_them() -> None:
    recall = MemoryRecall(FakeClock())
    second = ToolCall(id="call_2", name="look", arguments="{}")
    between = Thinking(text="And there?", signature=CLAUDE)
    keep_reasoning((THOUGHT, CALL, between, second), recall, "t")
    request, _ = with_reasoning(turn(CALL, second), "anthropic", recall, "t")
    assert assistant(request) == (THOUGHT, CALL, between, second)


def test_unsigned_thought_of_the_client_gives_way_to_the_signed_one() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, CALL), recall, "t")
    request, _ = with_reasoning(turn(Thinking(text="Let me look."), CALL), "anthropic", recall, "t")
    assert assistant(request) == (THOUGHT, CALL)


def test_thought_is_never_given_to_another_tenant() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, CALL), recall, "t")
    assert assistant(with_reasoning(turn(CALL), "anthropic", recall, "other")[0]) == (CALL,)


def test_thought_is_not_taken_for_a_call_of_another_tool() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, CALL), recall, "t")
    other = ToolCall(id="call_1", name="other", arguments="{}")
    assert assistant(with_reasoning(turn(other), "anthropic", recall, "t")[0]) == (other,)


def test_signatures_of_another_issuer_are_taken_off_and_their_words_kept() -> None:
    signed = ToolCall(id="call_1", name="look", arguments="{}", signature=GEMINI)
    request, losses = with_reasoning(turn(THOUGHT, signed), "openai", MemoryRecall(FakeClock()), "t")
    assert assistant(request) == (Thinking(text="Let me look."), CALL)
    assert losses == []


def test_what_only_another_issuer_can_read_is_a_declared_loss() -> None:
    hidden = Thinking(signature=CLAUDE, is_redacted=True)
    request, losses = with_reasoning(turn(hidden, CALL), "gemini", MemoryRecall(FakeClock()), "t")
    assert assistant(request) == (CALL,)
    assert [loss.field for loss in losses] == [Field.THINKING_PARTS]


def test_thought_kept_for_one_issuer_is_not_given_to_another() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((Thinking(signature=CLAUDE), CALL), recall, "t")
    request, _ = with_reasoning(turn(CALL), "gemini", recall, "t")
    assert assistant(request) == (CALL,)
