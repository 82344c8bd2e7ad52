"""Output items as callers are given them: whole, or while they are being written."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Citation, Media, MediaKind, Text, TokenLogprob, ToolCall, ToolKind

from .tools import DIALECT

IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
_IMAGE: Final = "image/"


def message_item(item_id: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "status": status, "content": content, "role": "assistant"}


def text_part(text: str, annotations: list[dict[str, Any]], logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def call_item(
    item_id: str, status: str, call: ToolCall, arguments: str, namespace: str | None
) -> dict[str, Any]:
    is_custom = call.kind is ToolKind.CUSTOM
    item: dict[str, Any] = {
        "id": item_id,
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "input" if is_custom else "arguments": arguments,
    }
    if namespace is not None:
        item["namespace"] = namespace
    return item


def arguments_said(call: ToolCall, text: str) -> str:
    """Functions always have arguments, custom tools the input as it is."""
    return text if call.kind is ToolKind.CUSTOM or text.strip() else "{}"


def spoken(media: Media) -> Text | None:
    """What an audio answer says, for an API that has no sound."""
    return Text(text=media.transcript) if media.kind is MediaKind.AUDIO and media.transcript else None


def image_item(item_id: str, media: Media) -> dict[str, Any] | None:
    """A picture in the form OpenAI's image tool gives them; None for everything that is none."""
    if media.kind is not MediaKind.IMAGE or media.data is None:
        return None
    form = (media.media_type or "image/png").removeprefix(_IMAGE)
    return {
        "id": item_id,
        "type": "image_generation_call",
        "status": COMPLETED,
        "output_format": form,
        "result": media.data,
    }


def annotation_of(citation: Citation, length: int) -> dict[str, Any] | None:
    """A citation of this dialect's as it came; of others those that have an address. `length` is the text's."""
    raw = citation.raw if citation.dialect == DIALECT else None
    if raw is not None and raw.get("type") != "url_citation":
        return raw
    if not citation.url:
        return None
    # xAI leaves out where in the text its citations belong.
    return {
        "type": "url_citation",
        "start_index": citation.start if citation.start is not None else 0,
        "end_index": citation.end if citation.end is not None else length,
        "title": citation.title or citation.url,
        "url": citation.url,
        **(raw or {}),
    }


def annotations_of(citations: tuple[Citation, ...], length: int) -> list[dict[str, Any]]:
    return [mark for citation in citations if (mark := annotation_of(citation, length)) is not None]


def logprob_entries(logprobs: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
    return [
        {
            **_logprob(entry),
            "top_logprobs": [_logprob(other) for other in entry.top],
        }
        for entry in logprobs
    ]


def _logprob(entry: TokenLogprob) -> dict[str, Any]:
    text = entry.bytes if entry.bytes is not None else tuple(entry.token.encode("utf-8", "replace"))
    return {"token": entry.token, "bytes": list(text), "logprob": entry.logprob}
