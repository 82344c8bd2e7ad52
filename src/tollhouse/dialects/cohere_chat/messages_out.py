"""The conversation, written for Cohere.

Documents in questions go beside the conversation, where Cohere has them. Pictures in a tool's result, which has no
place for them, follow in a message of the user's. Earlier thinking goes back as it came: a plan as `tool_plan`,
thinking as a block.
"""

from __future__ import annotations

import base64
from typing import Any

from tollhouse.core.content import (
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
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking as ThinkingWay
from tollhouse.ports.provider import Traits

from .vocabulary import NAME


class Messages:
    """The messages of one request. `documents` and `wants_citations` are known once they are written."""

    __slots__ = ("_losses", "_out", "_traits", "documents", "wants_citations")

    def __init__(self, losses: Losses, traits: Traits) -> None:
        self._losses = losses
        self._traits = traits
        self._out: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.wants_citations = False

    def written(self, instructions: tuple[Text, ...], messages: tuple[Message, ...]) -> list[dict[str, Any]]:
        if instructions:
            self._system(instructions)
        for message in messages:
            if message.name is not None:
                self._losses.add(Field.MESSAGE_NAMES)
            match message.role:
                case Role.SYSTEM | Role.DEVELOPER:
                    self._system(message.parts)
                case Role.ASSISTANT:
                    self._assistant(message.parts)
                case Role.USER:
                    self._user(message.parts)
        return self._out

    def _system(self, parts: tuple[Part, ...]) -> None:
        self._say("system", [block for part in parts for block in self._block(part)])

    def _user(self, parts: tuple[Part, ...]) -> None:
        """Results of tools are messages of their own, before what else is said."""
        blocks: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, ToolResult):
                blocks += self._result(part)
            else:
                blocks += self._block(part)
        if blocks or not any(isinstance(part, ToolResult) for part in parts):
            self._say("user", blocks)

    def _say(self, role: str, blocks: list[dict[str, Any]]) -> None:
        self._out.append({"role": role, "content": _content(blocks)})

    # -- answers

    def _assistant(self, parts: tuple[Part, ...]) -> None:
        calls = [part for part in parts if isinstance(part, ToolCall)]
        plans: list[str] = []
        blocks: list[dict[str, Any]] = []
        citations: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case ToolCall():
                    self._note_cache(part.cache)
                case Thinking():
                    self._thinking(part, blocks, plans if calls else None)
                case Text():
                    citations += self._citations(part, len(blocks))
                    blocks += self._block(part, is_cited=True)
                case Media(kind=kind) if kind is not MediaKind.DOCUMENT:
                    self._note_cache(part.cache)
                    self._losses.add(
                        Field.MEDIA, f"An earlier answer's {kind.value} cannot be sent back.", is_vital=True
                    )
                case _:
                    blocks += self._block(part)
        message: dict[str, Any] = {"role": "assistant"}
        if blocks or not calls:
            message["content"] = _content(blocks)
        if plans:
            message["tool_plan"] = "".join(plans)
        if calls:
            message["tool_calls"] = [_call(call) for call in calls]
        if citations:
            message["citations"] = citations
        self._out.append(message)

    def _thinking(self, part: Thinking, blocks: list[dict[str, Any]], plans: list[str] | None) -> None:
        """What a model that does not think has said before its calls can only have been its plan."""
        thinks = self._traits.thinking is not ThinkingWay.NONE
        if not part.text or Field.THINKING_PARTS in self._traits.unsupported:
            self._losses.add(Field.THINKING_PARTS)
        elif plans is not None and (part.is_summary or not thinks):
            plans.append(part.text)
        elif thinks:
            blocks.append({"type": "thinking", "thinking": part.text})
        else:
            self._losses.add(Field.THINKING_PARTS)

    def _citations(self, part: Text, content_index: int) -> list[dict[str, Any]]:
        own = [
            citation for citation in part.citations if citation.dialect == NAME and citation.raw is not None
        ]
        if len(own) < len(part.citations):
            self._losses.add(Field.CITATIONS)
        return [{**(citation.raw or {}), "content_index": content_index} for citation in own]

    # -- results of tools

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        """Writes the result's message; what it has no place for is given back."""
        self._note_cache(result.cache)
        if result.is_error:
            self._losses.add(Field.TOOL_ERRORS)
        inside: list[dict[str, Any]] = []
        pictures: list[dict[str, Any]] = []
        for part in result.parts:
            if isinstance(part, Media) and part.kind is MediaKind.DOCUMENT:
                inside += [{"type": "document", "document": document} for document in self._document(part)]
            elif isinstance(part, Media):
                pictures += self._block(part)
            else:
                inside += self._block(part)
        self._out.append({"role": "tool", "tool_call_id": result.call_id, "content": _content(inside)})
        return pictures

    # -- parts

    def _block(self, part: Part, *, is_cited: bool = False) -> list[dict[str, Any]]:
        """The part as content blocks: one, or none where it goes elsewhere or nowhere. `is_cited` where its citations
        are told elsewhere."""
        match part:
            case Text(text=text, cache=cache):
                self._note_cache(cache)
                if part.citations and not is_cited:
                    self._losses.add(Field.CITATIONS)
                return [{"type": "text", "text": text}]
            case Refusal(text=text):
                return [{"type": "text", "text": text}]
            case Media():
                return self._media(part)
            case Opaque(dialect=dialect, value=value) if dialect == NAME and isinstance(value, dict):
                return [value]
            case _:
                self._misplaced(part)
                return []

    def _misplaced(self, part: Part) -> None:
        """What Cohere has no place for, or none here."""
        match part:
            case Thinking():
                self._losses.add(Field.THINKING_PARTS)
            case Opaque(kind=kind):
                self._losses.add(Field.OPAQUE_PARTS, f"Cohere has nothing like '{kind}'.", is_vital=True)
            case _:
                why = "A tool's call or result stands where Cohere has no place for one."
                self._losses.add(Field.OPAQUE_PARTS, why, is_vital=True)

    def _media(self, media: Media) -> list[dict[str, Any]]:
        self._note_cache(media.cache)
        if Field.MEDIA in self._traits.unsupported:
            self._losses.add(Field.MEDIA, f"The model takes no {media.kind.value}.", is_vital=True)
            return []
        if media.kind is MediaKind.DOCUMENT:
            self.documents += self._document(media)
            return []
        url = self._image_url(media)
        if url is None:
            self._losses.add(Field.MEDIA, f"Cohere cannot be sent this {media.kind.value}.", is_vital=True)
            return []
        if media.name:
            self._losses.add(Field.MEDIA_NAMES)
        image: dict[str, Any] = {"url": url}
        if media.detail is not None:
            if Field.IMAGE_DETAIL in self._traits.unsupported:
                self._losses.add(Field.IMAGE_DETAIL)
            else:
                image["detail"] = media.detail
        return [{"type": "image_url", "image_url": image}]

    def _image_url(self, media: Media) -> str | None:
        if media.kind is not MediaKind.IMAGE:
            return None
        if media.data is not None:
            return f"data:{media.media_type or 'image/png'};base64,{media.data}"
        return media.url if self._traits.takes_image_urls else None

    def _document(self, media: Media) -> list[dict[str, Any]]:
        """Cohere's documents are texts: one, or none where this is another."""
        text = media.text if media.text is not None else _plain_text(media)
        if text is None:
            what = f"the document '{media.name}'" if media.name else "a document"
            self._losses.add(
                Field.MEDIA, f"Cohere takes documents as text only, and {what} is none.", is_vital=True
            )
            return []
        self.wants_citations |= media.is_cited
        said = {"title": media.name, "context": media.context, "text": text}
        return [{"data": {name: value for name, value in said.items() if value is not None}}]

    def _note_cache(self, cache: object) -> None:
        if cache is not None:
            self._losses.add(Field.CACHE_MARKS)


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A single text is written as one, and so is no text at all."""
    if not blocks:
        return ""
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return str(blocks[0]["text"])
    return blocks


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }


def _plain_text(media: Media) -> str | None:
    """A text that came in base64."""
    if media.data is None or not (media.media_type or "").startswith("text/"):
        return None
    try:
        return base64.b64decode(media.data).decode("utf-8")
    except ValueError:
        return None
