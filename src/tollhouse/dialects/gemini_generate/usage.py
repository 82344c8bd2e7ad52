"""Usage as Gemini reports it, and as its callers expect it.

Source: UsageMetadata in https://ai.google.dev/api/generate-content and in Vertex AI's reference, read 2026-11-25:
`promptTokenCount` includes the cached content; tokens of server tools' results (`toolUsePromptTokenCount`) and thoughts
(`thoughtsTokenCount`) come on top, and `totalTokenCount` is the sum of the four.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.counts import Counts

_MODALITIES: Final = ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT")


def usage_of(reported: object) -> Usage | None:
    """The buckets of a `usageMetadata` object; None where it counts nothing. Total: any JSON value will do."""
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    prompt = counts.read(reported, "promptTokenCount")
    answered = counts.read(reported, "candidatesTokenCount")
    thought = counts.read(reported, "thoughtsTokenCount")
    fetched = counts.read(reported, "toolUsePromptTokenCount") or 0
    total = counts.read(reported, "totalTokenCount")
    if prompt is None and answered is None and thought is None and not total:
        return None
    beside = (answered or 0) + (thought or 0) + fetched
    if prompt is None:
        counts.is_doubtful |= total is None
        prompt = counts.at_least_zero(total - beside) if total is not None else 0
    answered, thought = answered or 0, thought or 0
    if total is not None and total != prompt + answered + thought + fetched:
        if total == prompt + answered + fetched and thought <= answered:
            answered -= thought  # some proxies count thoughts among the candidates' tokens
        elif total == prompt + thought + answered:
            prompt -= min(fetched, prompt)  # or server tools' results among the prompt's
        else:
            counts.is_doubtful = True
    return _in_buckets(reported, counts, prompt, fetched, answered, thought)


def _in_buckets(
    reported: dict[str, Any], counts: Counts, prompt: int, fetched: int, answered: int, thought: int
) -> Usage:
    cached = counts.at_most(counts.read(reported, "cachedContentTokenCount") or 0, prompt)
    room = prompt - cached
    inward = _by_modality(reported, "promptTokensDetails")
    kept = _by_modality(reported, "cacheTokensDetails")
    # What was cached is counted under its price, whatever it was: the rest of a modality is what went in anew.
    heard = min(max(0, inward.get("AUDIO", 0) - kept.get("AUDIO", 0)), room)
    seen = min(max(0, inward.get("IMAGE", 0) - kept.get("IMAGE", 0)), room - heard)
    spoken = min(_by_modality(reported, "candidatesTokensDetails").get("AUDIO", 0), answered)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=room - heard - seen + fetched,
        input_cache_read_tokens=cached,
        input_audio_tokens=heard,
        input_image_tokens=seen,
        output_text_tokens=answered - spoken,
        output_reasoning_tokens=thought,
        output_audio_tokens=spoken,
    )


def _by_modality(reported: dict[str, Any], name: str) -> dict[str, int]:
    """Tokens by modality, as far as they are told; only audio and pictures are asked for."""
    details = reported.get(name)
    found: dict[str, int] = {}
    for detail in details if isinstance(details, list) else []:
        if not isinstance(detail, dict):
            continue
        modality, count = detail.get("modality"), Counts().read(detail, "tokenCount")
        if isinstance(modality, int) and 0 <= modality < len(_MODALITIES):
            modality = _MODALITIES[modality]
        if isinstance(modality, str) and count is not None:
            found[modality.upper()] = found.get(modality.upper(), 0) + count
    return found


def written_usage(usage: Usage) -> dict[str, Any]:
    """The `usageMetadata` object."""
    written: dict[str, Any] = {"promptTokenCount": usage.input_tokens}
    if usage.input_cache_read_tokens:
        written["cachedContentTokenCount"] = usage.input_cache_read_tokens
    written["candidatesTokenCount"] = usage.output_text_tokens + usage.output_audio_tokens
    if usage.output_reasoning_tokens:
        written["thoughtsTokenCount"] = usage.output_reasoning_tokens
    written["totalTokenCount"] = usage.input_tokens + usage.output_tokens
    _detail(
        written,
        "promptTokensDetails",
        usage.input_tokens,
        AUDIO=usage.input_audio_tokens,
        IMAGE=usage.input_image_tokens,
    )
    _detail(
        written,
        "candidatesTokensDetails",
        usage.output_text_tokens + usage.output_audio_tokens,
        AUDIO=usage.output_audio_tokens,
    )
    return written


def _detail(written: dict[str, Any], name: str, total: int, **modalities: int) -> None:
    """Details are worth writing where there is more than text."""
    if not any(modalities.values()):
        return
    tokens = {"TEXT": total - sum(modalities.values()), **modalities}
    written[name] = [{"modality": kind, "tokenCount": count} for kind, count in tokens.items() if count]
