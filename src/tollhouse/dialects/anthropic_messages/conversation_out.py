"""The conversation as Anthropic takes it.

Rules of the API, each a 400 where it is broken (API reference and tool use guide, read 2026-11-25): the first message
is the user's; none is empty; results come first in the message right after the one with their calls, one for each
call; ids of calls are unique and of `[a-zA-Z0-9_-]`; a message does not end with reasoning; a prefilled answer does
not end with a space. Neighbours of one role are merged here, so that the body does not depend on how they came.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from tollhouse.core.content import Message, Part, Role, Text, Thinking, ToolCall, ToolResult
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.request import Field, ModelRequest
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits

from .parts_out import PartsWriter

_OPENING: Final = "."
"""What the user says first where the conversation begins with an answer, or is empty: the least there is."""
_NOT_IN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_REASONING: Final = ("thinking", "redacted_thinking")


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """`system` and `messages`, and what they mean for the rest of the request."""

    system: list[dict[str, Any]]
    messages: list[dict[str, Any]]

    @property
    def is_prefilled(self) -> bool:
        """Whether the answer has begun; a turn that a server tool paused ends otherwise than in a text."""
        last = self.messages[-1]
        return bool(last["role"] == "assistant" and last["content"][-1]["type"] == "text")

    @property
    def lacks_reasoning(self) -> bool:
        """Whether the last turn of the assistant's calls tools and does not begin with reasoning."""
        turns = [message["content"] for message in self.messages if message["role"] == "assistant"]
        if not turns or not any(block["type"] == "tool_use" for block in turns[-1]):
            return False
        return turns[-1][0]["type"] not in _REASONING


class _Turn:
    """Messages of one role after another, in the making."""

    __slots__ = ("blocks", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.blocks: list[dict[str, Any]] = []
        self.results: list[ToolResult] = []


def conversation(request: ModelRequest, traits: Traits, losses: Losses) -> Conversation:
    """Raises: GatewayError `invalid_request`, where calls and results do not belong together."""
    writer = PartsWriter(traits, losses)
    leading = 0
    while leading < len(request.messages) and _is_instruction(request.messages[leading]):
        leading += 1
    texts = [*request.instructions, *_texts(request.messages[:leading])]
    system = [block for text in texts if (block := writer.text(text)) is not None]
    turns = _turns(request.messages[leading:], writer, losses)
    _pair(turns, writer, traits)
    messages = [{"role": turn.role, "content": turn.blocks} for turn in turns]
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": _OPENING}]})
    return Conversation(system=system, messages=messages)


def _is_instruction(message: Message) -> bool:
    return message.role in (Role.SYSTEM, Role.DEVELOPER) and all(
        isinstance(part, Text) for part in message.parts
    )


def _texts(messages: tuple[Message, ...]) -> list[Text]:
    return [part for message in messages for part in message.parts if isinstance(part, Text)]


def _turns(messages: tuple[Message, ...], writer: PartsWriter, losses: Losses) -> list[_Turn]:
    """The turns, none of them empty; instructions in the midst of the conversation are told as the user's words."""
    turns: list[_Turn] = []
    for message in messages:
        if message.name is not None:
            losses.add(Field.MESSAGE_NAMES)
        for part in message.parts:
            role = _speaker(part, message.role)
            block = None if isinstance(part, ToolResult) else writer.block(part, Role(role))
            if block is None and not isinstance(part, ToolResult):
                continue
            if turns and turns[-1].role != role:
                _settle(turns, losses)
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role))
            if isinstance(part, ToolResult):
                turns[-1].results.append(part)
            elif block is not None:
                turns[-1].blocks.append(block)
    _settle(turns, losses)
    if turns and turns[-1].role == "assistant":
        _trim(turns)
    return turns


def _speaker(part: Part, role: Role) -> str:
    """Results are the user's and calls the assistant's, whoever is said to have spoken."""
    if isinstance(part, ToolResult):
        return "user"
    if isinstance(part, ToolCall | Thinking) or role is Role.ASSISTANT:
        return "assistant"
    return "user"


def _settle(turns: list[_Turn], losses: Losses) -> None:
    """The last turn is over: of the assistant's, reasoning that nothing came of is left out."""
    if not turns or turns[-1].role != "assistant":
        return
    blocks = turns[-1].blocks
    while blocks and blocks[-1]["type"] in _REASONING:
        blocks.pop()
        losses.add(Field.THINKING_PARTS)
    if not blocks:
        turns.pop()


def _trim(turns: list[_Turn]) -> None:
    """A prefilled answer ends without white space."""
    last = turns[-1].blocks[-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()


# -- calls and results


def _pair(turns: list[_Turn], writer: PartsWriter, traits: Traits) -> None:
    """Put each turn's results before all else, in the order of the calls, under ids the API takes.

    Raises: GatewayError.
    """
    used: set[str] = set()
    calls: dict[str, str] = {}
    for turn in turns:
        if turn.role == "assistant":
            _check_answered(calls, set())
            calls = _renamed(turn, used)
            continue
        results = _by_call(turn.results, calls)
        _check_answered(calls, set(results))
        calls, ids = {}, calls
        blocks: list[dict[str, Any]] = []
        apart: list[dict[str, Any]] = []
        for call_id, name in ids.items():
            block = writer.result(results[call_id]) | {"tool_use_id": name}
            if not traits.takes_result_media:
                apart += _taken_apart(block)
            blocks.append(block)
        turn.blocks = [*blocks, *apart, *turn.blocks]
    _check_answered(calls, set())


def _renamed(turn: _Turn, used: set[str]) -> dict[str, str]:
    """Of each call of a turn the id it came with, and the one it goes with: written into its block."""
    names: dict[str, str] = {}
    for block in turn.blocks:
        if block["type"] != "tool_use":
            continue
        wanted = block["id"]
        if wanted in names:
            raise _broken(f"The tool call id `{wanted}` stands twice in one turn of the assistant.")
        base = _NOT_IN_ID.sub("_", wanted) or "toolu"
        name, number = base, 1
        while name in used:
            number += 1
            name = f"{base}_{number}"
        used.add(name)
        names[wanted] = block["id"] = name
    return names


def _by_call(results: list[ToolResult], calls: dict[str, str]) -> dict[str, ToolResult]:
    """The results by their call's id; what came in several pieces is one. Raises: GatewayError."""
    found: dict[str, ToolResult] = {}
    for result in results:
        call_id = result.call_id
        if call_id not in calls:
            raise _broken(f"The tool result for `{call_id}` answers no tool call of the message before it.")
        former = found.get(call_id)
        if former is None:
            found[call_id] = result
        elif former != result:
            found[call_id] = msgspec.structs.replace(
                former,
                parts=former.parts + result.parts,
                is_error=former.is_error or result.is_error,
                cache=result.cache or former.cache,
            )
    return found


def _check_answered(calls: dict[str, str], answered: set[str]) -> None:
    missing = [call_id for call_id in calls if call_id not in answered]
    if missing:
        raise _broken(f"The tool call `{missing[0]}` has no result in the message after it.")


def _broken(message: str) -> GatewayError:
    return invalid_request(
        message,
        param="messages",
        hint="Each tool call must be followed by one result with its id, before anything else is said.",
    )


def _taken_apart(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The files of a result, which the upstream takes only beside it."""
    content = result.get("content", [])
    files = [block for block in content if block["type"] != "text"]
    result["content"] = [block for block in content if block["type"] == "text"]
    if not result["content"]:
        del result["content"]
    return files
