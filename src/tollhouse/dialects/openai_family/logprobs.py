"""Probabilities of tokens, as chat completions have them: tolerant when reading."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import TokenLogprob


def read_logprobs(value: object) -> tuple[TokenLogprob, ...]:
    """Of a choice's `logprobs`; what is no probability is passed over."""
    if not isinstance(value, dict):
        return ()
    return _each(value.get("content") or value.get("refusal"))


def _each(items: object) -> tuple[TokenLogprob, ...]:
    if not isinstance(items, list):
        return ()
    return tuple([found for item in items if (found := _one(item)) is not None])


def _one(item: object) -> TokenLogprob | None:
    if not isinstance(item, dict):
        return None
    token, logprob = item.get("token"), item.get("logprob")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    data = item.get("bytes")
    return TokenLogprob(
        token=token,
        logprob=float(logprob),
        bytes=tuple(data) if isinstance(data, list) and all(type(byte) is int for byte in data) else None,
        top=_each(item.get("top_logprobs")),
    )


def logprobs_document(logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any] | None:
    """A choice's `logprobs`."""
    if not logprobs:
        return None
    return {
        "content": [
            {**_document(each), "top_logprobs": [_document(top) for top in each.top]} for each in logprobs
        ],
        "refusal": None,
    }


def _document(each: TokenLogprob) -> dict[str, Any]:
    data = list(each.bytes) if each.bytes is not None else None
    return {"token": each.token, "logprob": each.logprob, "bytes": data}
