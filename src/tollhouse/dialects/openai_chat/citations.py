"""Where passages come from: `annotations` of OpenAI's, `citations` and `search_results` of Perplexity's.

Perplexity's: https://docs.perplexity.ai/api-reference/chat-completions-post, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollhouse.core.content import Citation

from .vocabulary import NAME


def read_annotations(annotations: object) -> tuple[Citation, ...]:
    """Those that cite an address; others are passed over."""
    if not isinstance(annotations, list):
        return ()
    return tuple([found for annotation in annotations if (found := _annotation(annotation)) is not None])


def _annotation(annotation: object) -> Citation | None:
    if not isinstance(annotation, dict):
        return None
    cited = annotation.get("url_citation", annotation)
    if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
        return None
    return Citation(
        url=cited["url"],
        title=_text(cited.get("title")),
        quoted=_text(cited.get("content")),
        start=_offset(cited.get("start_index")),
        end=_offset(cited.get("end_index")),
        dialect=NAME,
        raw=annotation,
    )


def read_sources(answer: dict[str, Any]) -> tuple[Citation, ...]:
    """Sources that are named for the whole answer."""
    results = answer.get("search_results")
    found = [
        Citation(url=item["url"], title=_text(item.get("title")))
        for item in (results if isinstance(results, list) else [])
        if isinstance(item, dict) and isinstance(item.get("url"), str)
    ]
    if not found:
        urls = answer.get("citations")
        found = [
            Citation(url=url) for url in (urls if isinstance(urls, list) else []) if isinstance(url, str)
        ]
    return tuple(found)


def annotation(citation: Citation, shift: int) -> dict[str, Any] | None:
    """As callers get it, `shift` letters further on; None for what has no address."""
    if citation.url is None:
        return None
    start = citation.start or 0
    end = citation.end if citation.end is not None else start
    cited: dict[str, Any] = {
        "start_index": start + shift,
        "end_index": end + shift,
        "url": citation.url,
        "title": citation.title or "",
    }
    if citation.quoted is not None:
        cited["content"] = citation.quoted
    return {"type": "url_citation", "url_citation": cited}


def annotation_documents(citations: Iterable[Citation], shift: int) -> list[dict[str, Any]]:
    return [found for citation in citations if (found := annotation(citation, shift)) is not None]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _offset(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
