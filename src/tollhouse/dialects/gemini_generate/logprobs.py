"""Probabilities of tokens (`logprobsResult`).

Source: LogprobsResult in https://ai.google.dev/api/generate-content, read 2026-11-25: the chosen tokens in order, and
for each position the likeliest ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tollhouse.core.content import TokenLogprob


def logprobs_of(result: object) -> list[TokenLogprob]:
    """Total: any JSON value will do."""
    if not isinstance(result, dict):
        return []
    tops = result.get("topCandidates")
    chosen = result.get("chosenCandidates")
    found = []
    for place, token in enumerate(chosen if isinstance(chosen, list) else []):
        known = _token(token)
        if known is None:
            continue
        top = tops[place] if isinstance(tops, list) and place < len(tops) else None
        others = top.get("candidates") if isinstance(top, dict) else None
        likely = [_token(other) for other in others] if isinstance(others, list) else []
        found.append(
            TokenLogprob(
                token=known.token,
                logprob=known.logprob,
                bytes=known.bytes,
                top=tuple([other for other in likely if other is not None]),
            )
        )
    return found


def _token(token: object) -> TokenLogprob | None:
    if not isinstance(token, dict) or not isinstance(token.get("token"), str):
        return None
    value = token.get("logProbability", 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    text = token["token"]
    return TokenLogprob(token=text, logprob=float(value), bytes=tuple(text.encode("utf-8", "surrogatepass")))


def written_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    """The members of a candidate that tell them: none without any."""
    if not logprobs:
        return {}
    result: dict[str, Any] = {}
    if any(token.top for token in logprobs):
        result["topCandidates"] = [{"candidates": [_written(one) for one in token.top]} for token in logprobs]
    result["chosenCandidates"] = [_written(token) for token in logprobs]
    return {
        "avgLogprobs": sum(token.logprob for token in logprobs) / len(logprobs),
        "logprobsResult": result,
    }


def _written(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logProbability": token.logprob}
