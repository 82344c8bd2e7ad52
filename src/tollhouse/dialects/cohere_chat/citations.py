"""Citations: what an answer rests on, by place in its text."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Citation, Text

from .vocabulary import NAME


def citation_of(value: dict[str, Any]) -> Citation:
    """A citation as Cohere writes it: `start` and `end` count characters of the text it is about."""
    sources = value.get("sources")
    first = sources[0] if isinstance(sources, list) and sources else None
    document = first.get("document") if isinstance(first, dict) else None
    source = document if isinstance(document, dict) else {}
    return Citation(
        url=_text(source.get("url")),
        title=_text(source.get("title")),
        start=_offset(value.get("start")),
        end=_offset(value.get("end")),
        dialect=NAME,
        raw=value,
    )


def content_index_of(value: dict[str, Any]) -> int | None:
    """Which content block it is about, where it says so."""
    return _offset(value.get("content_index"))


def citation_documents(part: Text, content_index: int) -> list[dict[str, Any]]:
    """The citations of one text, for Cohere's clients. Those of other providers become documents."""
    return [_document(citation, part.text, content_index) for citation in part.citations]


def _document(citation: Citation, text: str, content_index: int) -> dict[str, Any]:
    if citation.dialect == NAME and citation.raw is not None:
        return {**citation.raw, "content_index": content_index}
    start = citation.start if citation.start is not None else 0
    end = citation.end if citation.end is not None else len(text)
    said = {"title": citation.title, "url": citation.url, "text": citation.quoted}
    document = {name: value for name, value in said.items() if value is not None}
    return {
        "start": start,
        "end": end,
        "text": text[start:end],
        "sources": [
            {"type": "document", "id": citation.url or citation.title or "document", "document": document}
        ],
        "type": "TEXT_CONTENT",
        "content_index": content_index,
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _offset(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
