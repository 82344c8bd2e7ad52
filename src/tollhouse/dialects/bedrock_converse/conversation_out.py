"""Messages as Bedrock takes them: turns that alternate and begin with the user's, results right after their calls,
no empty text, a text beside each document. Source: Message in Bedrock's API reference,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html, and the refusals of its models, read
2026-11-25."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tollhouse.core.content import (
    CacheMark,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.request import Field
from tollhouse.dialects.ground_family.call_ids import fitting_id
from tollhouse.dialects.ground_family.call_input import input_of
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits

from .blocks_out import citations_block
from .media import block_of, clean_name
from .thoughts import NATIVE_ISSUER, reasoning_content
from .vocabulary import NAME

Block = dict[str, Any]

_CALL_IDS: Final = r"[a-zA-Z0-9_.:-]{1,64}"
"""ToolUseBlock in Bedrock's service model 2023-09-30."""
_BEGINNING: Final = "."
"""What the user says where the conversation begins with an answer, or has nothing but instructions: the least."""
_NO_RESULT: Final = "There is no result of this call."
_NOTHING: Final = "(nothing)"
"""What a tool answered that answered nothing and failed; an empty content is refused then."""
_FILE_BELOW: Final = "(The file follows.)"
_DOCUMENT: Final = "(See the document.)"
_TTLS: Final = frozenset(["5m", "1h"])


class Conversation:
    """The turns of one request."""

    __slots__ = ("_losses", "_names", "_open_calls", "_traits", "_used_ids", "call_names", "turns")

    def __init__(self, messages: Iterable[Message], traits: Traits, losses: Losses) -> None:
        self._traits = traits
        self._losses = losses
        self._names: set[str] = set()
        """Of documents."""
        self._used_ids: dict[str, int] = {}
        """How often an id has named a call: some servers begin to count anew with each turn, Claude refuses that."""
        self._open_calls: list[tuple[str, str]] = []
        """Of the turn before, in order: the id as it was said, and as it goes out."""
        self.call_names: dict[str, None] = {}
        """Of the tools that were called, in order."""
        self.turns: list[Block] = []
        self._write(_turns(messages))

    @property
    def lacks_thought(self) -> bool:
        """Whether the last answer called tools and did not begin with a thought."""
        last = next((turn for turn in reversed(self.turns) if turn["role"] == "assistant"), None)
        return last is not None and _has(last, "toolUse") and "reasoningContent" not in last["content"][0]

    @property
    def is_prefilled(self) -> bool:
        """Whether the answer has begun."""
        return bool(self.turns[-1]["role"] == "assistant")

    def begin(self) -> None:
        """Have the user say something first."""
        self.turns.append({"role": "user", "content": [{"text": _BEGINNING}]})

    def _write(self, turns: list[tuple[bool, list[Part]]]) -> None:
        """`turns` alternate; True are the assistant's."""
        for is_answer, parts in turns:
            if is_answer:
                self._add(
                    "assistant", self._with_an_end([block for p in parts for block in self._answered(p)])
                )
            else:
                self._add("user", self._asked(parts))
        if self._open_calls:
            self._add("user", self._asked([]))
        if self.turns and self._traits.issuer == NATIVE_ISSUER:
            _strip_end(self.turns)

    def _add(self, role: str, blocks: list[Block]) -> None:
        blocks = self._without_idle_marks(blocks)
        if not blocks:
            return
        if not self.turns and role == "assistant":
            self.begin()
        if self.turns and self.turns[-1]["role"] == role:  # the turn between them said nothing
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _without_idle_marks(self, blocks: list[Block]) -> list[Block]:
        """A mark stands behind something: those on empty texts mark what stands before them."""
        kept: list[Block] = []
        for block in blocks:
            if "cachePoint" not in block or (kept and "cachePoint" not in kept[-1]):
                kept.append(block)
            else:
                self._losses.add(Field.CACHE_MARKS)
        return kept

    # -- the assistant's

    def _with_an_end(self, blocks: list[Block]) -> list[Block]:
        """Claude refuses answers that end in a thought nothing came of."""
        while self._traits.issuer == NATIVE_ISSUER and blocks and "reasoningContent" in blocks[-1]:
            blocks.pop()
            self._losses.add(Field.THINKING_PARTS)
        return blocks

    def _answered(self, part: Part) -> Iterator[Block]:
        match part:
            case ToolCall():
                self.call_names[part.name] = None
                yield {
                    "toolUse": {
                        "toolUseId": self._opened(part.id),
                        "name": part.name,
                        "input": input_of(part),
                    }
                }
                yield from self._mark(part.cache)
            case Thinking():
                yield from self._thought(part)
            case Media():
                self._losses.add(
                    Field.MEDIA, "Bedrock takes no files in the assistant's turns.", is_vital=True
                )
                if part.cache is not None:
                    self._losses.add(Field.CACHE_MARKS)
            case Text(citations=citations) if citations:
                if all(citation.dialect == NAME and citation.raw is not None for citation in citations):
                    yield citations_block(part)
                    yield from self._mark(part.cache)
                else:
                    self._losses.add(Field.CITATIONS)
                    yield from self._said(part)
            case _:
                yield from self._said(part)

    def _opened(self, said: str) -> str:
        """The id of a call as it goes out."""
        times = self._used_ids[said] = self._used_ids.get(said, 0) + 1
        call_id = fitting_id(
            said if times == 1 else f"{said}#{times}", self._traits.call_id_pattern or _CALL_IDS
        )
        self._open_calls.append((said, call_id))
        return call_id

    def _thought(self, thinking: Thinking) -> Iterator[Block]:
        if not thinking.text and thinking.signature is None:
            return
        is_claude = self._traits.issuer == NATIVE_ISSUER
        if not is_claude and thinking.signature is not None:
            # Nobody else on Bedrock signs: what was signed elsewhere goes on as words, if there are any.
            thinking = Thinking(text=thinking.text)
        content = reasoning_content(thinking)
        if content is None or (is_claude and thinking.signature is None):
            self._losses.add(Field.THINKING_PARTS)  # Claude refuses thoughts it has not signed
        elif self._losses.takes(Field.THINKING_PARTS):
            yield {"reasoningContent": content}

    # -- the user's

    def _asked(self, parts: list[Part]) -> list[Block]:
        """Results first, in the order of their calls, one for each; then what else was said."""
        waiting, self._open_calls = self._open_calls, []
        results: dict[str, list[ToolResult]] = {}
        for part in parts:
            if isinstance(part, ToolResult):
                results.setdefault(part.call_id, []).append(part)
        blocks: list[Block] = []
        files: list[Block] = []
        taken: set[int] = set()
        for said, call_id in waiting:
            if results.get(said):
                result = results[said].pop(0)
                taken.add(id(result))
            else:
                result = ToolResult(call_id=said, parts=(Text(text=_NO_RESULT),), is_error=True)
            blocks += self._result(result, call_id, files)
        blocks += files
        for part in parts:
            if id(part) not in taken:
                blocks += self._said(part)
        if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
            blocks.append({"text": _DOCUMENT})
        return blocks

    def _result(self, result: ToolResult, call_id: str, files: list[Block]) -> Iterator[Block]:
        content: list[Block] = []
        for part in result.parts:
            if isinstance(part, Text):
                if part.citations:
                    self._losses.add(Field.CITATIONS)
                if part.text.strip():
                    content.append({"text": part.text})
            elif self._traits.takes_result_media and part.kind is not MediaKind.AUDIO:
                content += self._file(part)
            else:
                files += self._file(part)
        if not content and files:
            content.append({"text": _FILE_BELOW})
        inside: Block = {
            "toolUseId": call_id, "content": content,
        }  # fmt: skip
        if result.is_error and self._losses.takes(Field.TOOL_ERRORS):
            inside["content"] = content or [{"text": _NOTHING}]
            inside["status"] = "error"
        yield {"toolResult": inside}
        yield from self._mark(self._mark_of(result))

    def _mark_of(self, result: ToolResult) -> CacheMark | None:
        """A mark on the last thing in a result is one on the result; others have no place."""
        *before, last = result.parts or (Text(text=""),)
        if any(part.cache is not None for part in before) or (result.cache and last.cache):
            self._losses.add(Field.CACHE_MARKS)
        return result.cache or last.cache

    def _said(self, part: Part) -> Iterator[Block]:
        match part:
            case Text() | Refusal():
                if isinstance(part, Text) and part.citations:
                    self._losses.add(Field.CITATIONS)
                if part.text.strip():
                    yield {"text": part.text}
                yield from self._mark(part.cache if isinstance(part, Text) else None)
            case Media():
                yield from self._marked_file(part)
            case ToolResult():
                yield from self._orphan(part)
            case Opaque() if part.dialect == NAME and isinstance(part.value, dict):
                yield part.value
            case Opaque():
                why = f"What `{part.kind[:50]}` is, only {part.dialect} knows."
                self._losses.add(Field.OPAQUE_PARTS, why, is_vital=True)
            case Thinking():
                self._losses.add(Field.THINKING_PARTS)
            case ToolCall():
                yield {"text": f"{part.name}({part.arguments})"}

    def _orphan(self, result: ToolResult) -> Iterator[Block]:
        """A result whose call is not in the turn before: Bedrock refuses it, so it is told in words."""
        yield {"text": f"Result of the tool {result.name or result.call_id}:"}
        for part in result.parts:
            yield from self._said(part)

    def _marked_file(self, media: Media) -> Iterator[Block]:
        blocks = self._file(media)
        yield from blocks
        if blocks:
            yield from self._mark(media.cache)
        elif media.cache is not None:
            self._losses.add(Field.CACHE_MARKS)

    def _file(self, media: Media) -> list[Block]:
        block = None
        if self._losses.takes(Field.MEDIA):
            name = clean_name(media.name, self._names) if media.kind is MediaKind.DOCUMENT else ""
            block = block_of(media, name=name, takes_text=self._traits.issuer == NATIVE_ISSUER)
        if media.detail is not None:
            self._losses.add(Field.IMAGE_DETAIL)
        if media.name and media.kind is not MediaKind.DOCUMENT:
            self._losses.add(Field.MEDIA_NAMES)
        if media.context and media.kind is not MediaKind.DOCUMENT:
            self._losses.add(Field.MEDIA, "Only documents have a context at Bedrock.")
        if block is None:
            kind = media.media_type or "its type is not known"
            why = (
                f"Bedrock takes this {media.kind.value} neither by its address nor by its type ({kind[:80]})."
            )
            self._losses.add(Field.MEDIA, why, is_vital=True)
            return []
        return [block]

    def _mark(self, mark: CacheMark | None) -> Iterator[Block]:
        if mark is not None and self._losses.takes(Field.CACHE_MARKS):
            yield cache_point(mark)


def cache_point(mark: CacheMark) -> Block:
    """The block that marks everything before it."""
    inside = {"type": "default"}
    if mark.ttl in _TTLS:
        inside["ttl"] = mark.ttl
    return {"cachePoint": inside}


def _turns(messages: Iterable[Message]) -> list[tuple[bool, list[Part]]]:
    """Messages of the same side joined. What a system says in the midst of a conversation is said by the user: some
    models have no other place for it, and at the top it would change what they have read already."""
    turns: list[tuple[bool, list[Part]]] = []
    for message in messages:
        is_answer = message.role is Role.ASSISTANT
        if turns and turns[-1][0] is is_answer:
            turns[-1][1].extend(message.parts)
        else:
            turns.append((is_answer, list(message.parts)))
    return turns


def _has(turn: Block, member: str) -> bool:
    return any(member in block for block in turn["content"])


def _strip_end(turns: list[Block]) -> None:
    """Claude refuses an answer to be continued that ends in white space."""
    last = turns[-1]
    if last["role"] == "assistant" and "text" in last["content"][-1]:
        last["content"][-1] = {"text": last["content"][-1]["text"].rstrip()}
