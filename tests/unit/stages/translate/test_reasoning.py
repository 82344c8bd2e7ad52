"""Signed thoughts reach the issuer again, whatever the client did to them, and nobody else."""

from __future__ import annotations

import pytest

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.core.content import (
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.fold import unfold
from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.stages.translate.reasoning import (
    Remembering,
    keep_reasoning,
    restored_bytes,
    with_reasoning,
)
from tollhouse.stages.translate.trail import Trail, call_key
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


# -- clients that lose the ids of calls


def renamed(call: ToolCall, number: int = 1) -> ToolCall:
    """The call as a reader names it that was given no id, its arguments written by another encoder."""
    return ToolCall(id=f"position_{number}", name=call.name, arguments=call.arguments.replace(":", ": "))


SEARCH = ToolCall(id="toolu_9", name="search", arguments='{"q":"\\u00fc","n":2}')
FOUND = Message(role=Role.USER, parts=(ToolResult(call_id="position_1", parts=(Text(text="found"),)),))


def first(*, said: str = "hi", instructions: str = "Be brief.") -> ModelRequest:
    asked = Message(role=Role.USER, parts=(Text(text=said),))
    return ModelRequest(model="m", messages=(asked,), instructions=(Text(text=instructions),))


def after(request: ModelRequest, *answer: Part) -> ModelRequest:
    """The request that follows when the model's answer was shown as that."""
    shown = Message(role=Role.ASSISTANT, parts=answer)
    return ModelRequest(
        model="m", messages=(*request.messages, shown, FOUND), instructions=request.instructions
    )


def test_thought_is_given_back_by_its_place_in_the_conversation_where_the_id_is_lost() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, SEARCH), recall, "t", Trail(first()))
    second = after(first(), ToolCall(id="position_1", name="search", arguments='{ "n": 2, "q": "ü" }'))
    restored, _ = with_reasoning(second, "anthropic", recall, "t")
    assert assistant(restored)[0] == THOUGHT
    again = Thinking(text="And again.", signature=CLAUDE)
    keep_reasoning((again, CALL), recall, "t", Trail(second))
    third = after(second, renamed(CALL, 2))
    restored, losses = with_reasoning(third, "anthropic", recall, "t")
    assert restored.messages[1].parts[0] == THOUGHT
    assert restored.messages[3].parts[0] == again
    assert losses == []


def test_signature_of_a_second_call_is_not_given_to_the_first() -> None:
    recall = MemoryRecall(FakeClock())
    signed = ToolCall(id="b", name="look", arguments="{}", signature=GEMINI)
    keep_reasoning((CALL, signed), recall, "t", Trail(first()))
    restored, _ = with_reasoning(after(first(), renamed(CALL), renamed(signed, 2)), "gemini", recall, "t")
    assert [part.signature for part in assistant(restored) if isinstance(part, ToolCall)] == [None, GEMINI]


@pytest.mark.parametrize("other", [first(said="hello"), first(instructions="You serve Anna.")])
def test_thought_is_never_given_to_another_conversation_with_the_same_call(other: ModelRequest) -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, SEARCH), recall, "t", Trail(first()))
    asked = after(other, renamed(SEARCH))
    assert with_reasoning(asked, "anthropic", recall, "t")[0] == asked


def test_thought_is_never_given_by_place_to_another_tenant_or_for_other_arguments() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, SEARCH), recall, "t", Trail(first()))
    asked = after(first(), renamed(SEARCH))
    assert with_reasoning(asked, "anthropic", recall, "other")[0] == asked
    changed = after(first(), ToolCall(id="position_1", name="search", arguments='{"q":"u","n":2}'))
    assert with_reasoning(changed, "anthropic", recall, "t")[0] == changed


def test_trail_hears_no_difference_where_clients_lose_things_and_all_others() -> None:
    asked = after(first(), THOUGHT, Text(text="One moment."), SEARCH)
    bare = after(first(), renamed(SEARCH))
    assert Trail(asked).end() == Trail(bare).end()
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data="AAAA")
    shown = ToolResult(call_id="position_1", parts=(Text(text="found"), picture))
    cut = [
        Message(role=Role.USER, parts=(Text(text="fo"), Text(text="und"))),
        Message(role=Role.USER, parts=(shown,)),
    ]
    ends = {
        Trail(ModelRequest(model="m", messages=(*bare.messages[:2], last))).end() for last in (FOUND, *cut)
    }
    assert len(ends) == 3


@pytest.mark.parametrize("arguments", ["not json", "[" * 100_000, "\ud800", ""])
def test_trail_takes_any_arguments(arguments: str) -> None:
    call = ToolCall(id="x", name="look", arguments=arguments)
    assert call_key("m", 0, call) == call_key("m", 0, call) != call_key("m", 0, CALL)


def test_bytes_of_what_is_given_back_are_counted_every_time() -> None:
    """A budget has to pay for them, and a caller may name a call as often as it likes."""
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, CALL), recall, "t")
    each = len(THOUGHT.text) + len(CLAUDE.value)
    for times in (1, 3):
        turns = (Message(role=Role.ASSISTANT, parts=(CALL,)), RESULT) * times
        sent = ModelRequest(model="m", messages=(ASK, *turns))
        restored, _ = with_reasoning(sent, "anthropic", recall, "t")
        assert restored_bytes(sent, restored) == each * times


def test_what_the_caller_has_kept_itself_is_not_counted() -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((THOUGHT, CALL), recall, "t")
    sent = turn(THOUGHT, CALL)
    for issuer in ("anthropic", "gemini"):
        restored, _ = with_reasoning(sent, issuer, recall, "t")
        assert restored_bytes(sent, restored) == 0
