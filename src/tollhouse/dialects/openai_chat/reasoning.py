"""Reasoning in chat completions, which OpenAI has no place for and many have found one.

* The text: `reasoning_content` (DeepSeek, vLLM, Qwen, LiteLLM), `reasoning` (OpenRouter, Groq, Ollama) or
  `reasoning_text` of a message or delta. To callers it goes out as `reasoning_content`.
* Signed blocks: `thinking_blocks`, LiteLLM's field in Anthropic's words. To callers signatures go out sealed
  (core.seal) in it, as `{type: thinking, thinking, signature}` or `{type: redacted_thinking, data}`.
* `reasoning_details`, OpenRouter's: entries of type `reasoning.text`, `reasoning.summary` and `reasoning.encrypted`
  whose `format` tells whose they are (https://openrouter.ai/docs/use-cases/reasoning-tokens, read 2026-11-25).
* A call's signature: `extra_content.google.thought_signature`, as Gemini's OpenAI-compatible door has it
  (https://ai.google.dev/gemini-api/docs/openai, read 2026-11-25).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tollhouse.core.content import Part, Signature, Text, Thinking
from tollhouse.core.seal import seal, unseal

TEXT_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")

_ISSUERS: Final = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "azure-openai-responses-v1": "openai",
    "google-gemini-v1": "gemini",
    "xai-responses-v1": "xai",
}
_FORMATS: Final = {
    "anthropic": "anthropic-claude-v1",
    "openai": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "xai": "xai-responses-v1",
}
_SOMEBODY: Final = "openrouter"
"""Who can read what OpenRouter does not tell the issuer of."""


def words_of(message: dict[str, Any]) -> str:
    """The reasoning's text in a message or delta: one of its spellings, for some send it in two."""
    for name in TEXT_FIELDS:
        text = message.get(name)
        if isinstance(text, str) and text:
            return text
    return ""


# -- thinking_blocks


def signed_by(text: object, native: str) -> Signature | None:
    """What a signature's text says: whose it is, if it was sealed, else the native issuer's."""
    if not isinstance(text, str) or not text:
        return None
    return unseal(text) or Signature(issuer=native, value=text)


def read_block(block: object) -> Thinking | None:
    """One of `thinking_blocks`, or of a content list; None where it says nothing.

    Text is a string, or Mistral's list of text chunks (https://docs.mistral.ai/capabilities/reasoning, 2026-11-25).
    """
    if not isinstance(block, dict):
        return None
    if block.get("type") == "redacted_thinking":
        signature = signed_by(block.get("data"), "anthropic")
        return Thinking(signature=signature, is_redacted=True) if signature is not None else None
    text = block.get("thinking")
    if isinstance(text, list):
        chunks = [chunk.get("text") for chunk in text if isinstance(chunk, dict)]
        text = "".join([chunk for chunk in chunks if isinstance(chunk, str)])
    signature = signed_by(block.get("signature"), "anthropic")
    text = text if isinstance(text, str) else ""
    return Thinking(text=text, signature=signature) if text or signature is not None else None


def read_blocks(blocks: object) -> list[Thinking]:
    """All of `thinking_blocks`."""
    if not isinstance(blocks, list):
        return []
    return [thinking for block in blocks if (thinking := read_block(block)) is not None]


def sealed_block(thinking: Thinking) -> dict[str, Any] | None:
    """What callers get beside the text; None where nothing is signed."""
    if thinking.signature is None:
        return None
    if thinking.is_redacted or not thinking.text:
        return {"type": "redacted_thinking", "data": seal(thinking.signature)}
    return {"type": "thinking", "thinking": thinking.text, "signature": seal(thinking.signature)}


def sealed_blocks(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """`thinking_blocks` of a message. A text's signature has no place of its own and goes before it."""
    blocks = []
    for part in parts:
        block = None
        if isinstance(part, Thinking):
            block = sealed_block(part)
        elif isinstance(part, Text) and part.text:
            block = sealed_block(Thinking(signature=part.signature))
        if block is not None:
            blocks.append(block)
    return blocks


# -- reasoning_details


def detail_issuer(detail: dict[str, Any]) -> str:
    """Whose entry it is."""
    return _ISSUERS.get(str(detail.get("format")), _SOMEBODY)


def read_detail(detail: object) -> Thinking | None:
    """One entry, as it stands; None where it says nothing."""
    if not isinstance(detail, dict):
        return None
    text = detail.get("text") if detail.get("text") is not None else detail.get("summary")
    sealed = detail.get("signature") if detail.get("signature") else detail.get("data")
    issuer = detail_issuer(detail)
    signature = signed_by(sealed, issuer)
    text = text if isinstance(text, str) else ""
    if not text and signature is None:
        return None
    name = detail.get("id")
    return Thinking(
        text=text,
        signature=signature,
        is_redacted=detail.get("type") == "reasoning.encrypted" and issuer == "anthropic",
        is_summary=detail.get("type") == "reasoning.summary",
        id=name if isinstance(name, str) and name else None,
    )


def belongs_to(signed: Thinking, before: Signature | None) -> bool:
    """Whether an entry that is a signature alone signs the summary or text before it, which has `before`."""
    if signed.text or signed.signature is None or before is not None or signed.is_redacted:
        return False
    return signed.signature.issuer != "gemini"


def read_details(details: object) -> list[Thinking]:
    """All of `reasoning_details`, signatures with what they sign."""
    found: list[Thinking] = []
    for detail in details if isinstance(details, list) else []:
        thinking = read_detail(detail)
        if thinking is None:
            continue
        if found and belongs_to(thinking, found[-1].signature):
            last = found[-1]
            found[-1] = Thinking(
                text=last.text,
                signature=thinking.signature,
                is_summary=last.is_summary,
                id=thinking.id or last.id,
            )
        else:
            found.append(thinking)
    return found


def written_details(parts: Iterable[Thinking]) -> list[dict[str, Any]]:
    """The same for OpenRouter, signatures as their issuer wrote them."""
    details: list[dict[str, Any]] = []
    for thinking in parts:
        for detail in _details(thinking):
            details.append({**detail, "index": len(details)})
    return details


def encrypted_detail(signature: Signature, name: str | None) -> dict[str, Any]:
    """An entry that only the issuer can read."""
    detail = {"type": "reasoning.encrypted", "data": signature.value}
    return _named(detail, signature, name)


def _details(thinking: Thinking) -> list[dict[str, Any]]:
    signature = thinking.signature
    if not thinking.text:
        return [encrypted_detail(signature, thinking.id)] if signature is not None else []
    if thinking.is_summary:
        summary = _named({"type": "reasoning.summary", "summary": thinking.text}, signature, None)
        return [summary] if signature is None else [summary, encrypted_detail(signature, thinking.id)]
    detail: dict[str, Any] = {"type": "reasoning.text", "text": thinking.text}
    if signature is not None:
        detail["signature"] = signature.value
    return [_named(detail, signature, thinking.id)]


def _named(detail: dict[str, Any], signature: Signature | None, name: str | None) -> dict[str, Any]:
    if name is not None:
        detail["id"] = name
    detail["format"] = _FORMATS.get(signature.issuer, "unknown") if signature is not None else "unknown"
    return detail


# -- signatures of calls


def call_signature(call: dict[str, Any]) -> Signature | None:
    """A tool call's signature; also where LiteLLM puts it (`provider_specific_fields.thought_signature`)."""
    google = _object(_object(call.get("extra_content")).get("google"))
    signature = signed_by(google.get("thought_signature"), "gemini")
    if signature is not None:
        return signature
    return signed_by(_object(call.get("provider_specific_fields")).get("thought_signature"), "gemini")


def extra_content(text: str) -> dict[str, Any]:
    """`extra_content` of a call with this signature."""
    return {"google": {"thought_signature": text}}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
