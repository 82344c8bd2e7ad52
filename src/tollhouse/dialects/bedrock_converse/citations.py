"""Citations: passages of an answer and where they come from, in Converse's words and the house's."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Citation

from .vocabulary import NAME


def citation_of(said: object) -> Citation | None:
    """One citation of an answer; None where it is no object. It keeps what it said word for word."""
    if not isinstance(said, dict):
        return None
    place = said.get("location")
    web = place.get("web") if isinstance(place, dict) else None
    source = said.get("source")
    url = web.get("url") if isinstance(web, dict) else source
    return Citation(
        url=url if isinstance(url, str) else None,
        title=_text(said.get("title")),
        quoted=_quoted(said.get("sourceContent")),
        dialect=NAME,
        raw=said,
    )


def citations_of(said: object) -> tuple[Citation, ...]:
    """All of a list that can be read."""
    if not isinstance(said, list):
        return ()
    return tuple([citation for citation in map(citation_of, said) if citation is not None])


def written_citation(citation: Citation) -> dict[str, Any]:
    """The citation as it came, where it came in this dialect; else what can be said of it."""
    if citation.dialect == NAME and citation.raw is not None:
        return citation.raw
    document: dict[str, Any] = {}
    if citation.title is not None:
        document["title"] = citation.title
    if citation.quoted is not None:
        document["sourceContent"] = [{"text": citation.quoted}]
    if citation.url is not None:
        document["source"] = citation.url
        document["location"] = {"web": {"url": citation.url}}
    return document


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _quoted(content: object) -> str | None:
    if not isinstance(content, list):
        return None
    texts = [item["text"] for item in content if isinstance(item, dict) and isinstance(item.get("text"), str)]
    return "".join(texts) or None
