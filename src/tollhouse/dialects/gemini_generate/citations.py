"""Where an answer comes from: `groundingMetadata` and `citationMetadata`.

Source: GroundingMetadata and CitationMetadata in https://ai.google.dev/api/generate-content, read 2026-11-25: segments
count bytes of the text in UTF-8, the end is exclusive; recorded answers leave out a start of 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollhouse.core.content import Citation

DIALECT = "gemini_generate"


def citations_of(candidate: dict[str, Any], text: str, before: int) -> tuple[Citation, ...]:
    """The citations a candidate has. `text` is all of its text so far; offsets are told from its character number
    `before` on, where the part begins that the citations are given to."""
    place = _Places(text, before)
    return (*_grounding(candidate.get("groundingMetadata"), place), *_recitations(candidate, place))


class _Places:
    """Offsets in bytes of a text, in characters of its last part."""

    def __init__(self, text: str, before: int) -> None:
        self._bytes = text.encode("utf-8", "surrogatepass")
        self._before = before

    def characters(self, offset: object, *, absent: int | None = None) -> int | None:
        if offset is None and absent is not None:
            offset = absent
        if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset <= len(self._bytes):
            return None
        found = len(self._bytes[:offset].decode("utf-8", "ignore")) - self._before
        return found if found >= 0 else None


def _grounding(metadata: object, place: _Places) -> list[Citation]:
    if not isinstance(metadata, dict):
        return []
    chunks = _dicts(metadata.get("groundingChunks"))
    supports = _dicts(metadata.get("groundingSupports"))
    found: list[Citation] = []
    for support in supports:
        numbers = support.get("groundingChunkIndices")
        found += [
            _citation(chunks[number], support.get("segment"), place)
            for number in (numbers if isinstance(numbers, list) else [])
            if isinstance(number, int) and 0 <= number < len(chunks)
        ]
    # Without supports nobody knows which passage it was, but where it comes from is known.
    return found if found else [_citation(chunk, None, place) for chunk in chunks]


def _citation(chunk: dict[str, Any], segment: object, place: _Places) -> Citation:
    source = next((value for value in chunk.values() if isinstance(value, dict)), {})
    start = end = None
    if isinstance(segment, dict):
        start = place.characters(segment.get("startIndex"), absent=0)
        end = place.characters(segment.get("endIndex"))
    return Citation(
        url=_text(source.get("uri")),
        title=_text(source.get("title")) or _text(source.get("documentName")),
        quoted=_text(source.get("text")),
        start=start if end is not None else None,
        end=end if start is not None else None,
        dialect=DIALECT,
        raw={"chunk": chunk, "segment": segment},
    )


def _recitations(candidate: dict[str, Any], place: _Places) -> list[Citation]:
    metadata = candidate.get("citationMetadata")
    if not isinstance(metadata, dict):
        return []
    sources = _dicts(metadata.get("citations") or metadata.get("citationSources"))
    return [
        Citation(
            url=_text(source.get("uri")),
            title=_text(source.get("title")),
            start=place.characters(source.get("startIndex"), absent=0),
            end=place.characters(source.get("endIndex")),
            dialect=DIALECT,
            raw=source,
        )
        for source in sources
    ]


class Grounding:
    """Collects the citations of one candidate's texts and writes its `groundingMetadata`."""

    __slots__ = ("_chunks", "_numbers", "_supports", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._chunks: list[dict[str, Any]] = []
        self._numbers: dict[tuple[str | None, str | None, str | None], int] = {}
        self._supports: list[tuple[int, int, int]] = []

    def text(self, text: str) -> None:
        """More of the candidate's text."""
        self._texts.append(text)

    def add(self, citations: Iterable[Citation], start: int) -> None:
        """Citations of the part whose text begins at character `start` of all there is."""
        for citation in citations:
            key = (citation.url, citation.title, citation.quoted)
            number = self._numbers.setdefault(key, len(self._chunks))
            if number == len(self._chunks):
                self._chunks.append(_written_chunk(citation))
            if citation.start is not None and citation.end is not None:
                self._supports.append((start + citation.start, start + citation.end, number))

    def metadata(self) -> dict[str, Any] | None:
        if not self._chunks:
            return None
        text = "".join(self._texts)
        supports = []
        for start, end, number in self._supports:
            segment: dict[str, Any] = {}
            if start:
                segment["startIndex"] = len(text[:start].encode("utf-8", "surrogatepass"))
            segment["endIndex"] = len(text[:end].encode("utf-8", "surrogatepass"))
            segment["text"] = text[start:end]
            supports.append({"segment": segment, "groundingChunkIndices": [number]})
        metadata: dict[str, Any] = {"groundingChunks": self._chunks}
        if supports:
            metadata["groundingSupports"] = supports
        return metadata


def _written_chunk(citation: Citation) -> dict[str, Any]:
    source: dict[str, Any] = {}
    if citation.url is not None:
        source["uri"] = citation.url
    if citation.title is not None:
        source["title"] = citation.title
    if citation.url is not None and citation.quoted is None:
        return {"web": source}
    if citation.quoted is not None:
        source["text"] = citation.quoted
    return {"retrievedContext": source}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
