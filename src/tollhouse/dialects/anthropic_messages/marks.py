"""Small things both faces say alike: cache marks, citations, signatures."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import CacheMark, Citation, Signature, Thinking
from tollhouse.core.seal import seal, unseal
from tollhouse.wire.json_fields import Fields

from .vocabulary import ISSUER, NAME


def take_mark(fields: Fields) -> CacheMark | None:
    """The `cache_control` of a block, a tool or a request. Raises: WrongType."""
    mark = fields.take_fields("cache_control")
    if mark is None:
        return None
    mark.ignore("type")  # there is but `ephemeral`
    return CacheMark(ttl=mark.take_text("ttl"))


def mark_out(mark: CacheMark) -> dict[str, str]:
    return {"type": "ephemeral"} if mark.ttl is None else {"type": "ephemeral", "ttl": mark.ttl}


def citation_of(raw: dict[str, Any]) -> Citation:
    """A citation as it came. Its offsets count in the cited document, not in the answer: they stay in `raw`."""
    url = _text(raw.get("url"))
    source = _text(raw.get("source"))
    if url is None and source is not None and source.startswith(("https://", "http://")):
        url = source
    return Citation(
        url=url,
        title=_text(raw.get("title")) or _text(raw.get("document_title")),
        quoted=_text(raw.get("cited_text")),
        dialect=NAME,
        raw=raw,
    )


def citation_out(citation: Citation) -> dict[str, Any] | None:
    """The citation as this dialect says it; None where it cannot: it knows web pages, by their address."""
    if citation.dialect == NAME and citation.raw is not None:
        return citation.raw
    if citation.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "cited_text": citation.quoted or "",
        "encrypted_index": "",
        "title": citation.title,
        "url": citation.url,
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def signature_of(text: str) -> Signature | None:
    """Whoever issued it: unsealed, or Anthropic's own. None for the empty text."""
    return (unseal(text) or Signature(issuer=ISSUER, value=text)) if text else None


def signature_out(signature: Signature) -> str:
    """Bare where it is Anthropic's, else sealed."""
    return signature.value if signature.issuer == ISSUER else seal(signature)


def hidden_out(signature: Signature) -> dict[str, Any]:
    """A block that has nothing but a signature: what stands for reasoning only its issuer can read."""
    return {"type": "redacted_thinking", "data": signature_out(signature)}


def is_hidden(thinking: Thinking) -> bool:
    """Whether a reasoning without words goes as `redacted_thinking`. Anthropic's own, when its display is omitted, has
    a `thinking` block with empty text."""
    signature = thinking.signature
    return (
        not thinking.text and signature is not None and (thinking.is_redacted or signature.issuer != ISSUER)
    )
