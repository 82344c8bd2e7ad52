"""What whole and streamed answers have in common: calls and logarithms of probabilities, read tolerantly."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import TokenLogprob
from tollhouse.dialects.ground_family.loose_json import json_text


def object_in(value: Any, *path: str) -> dict[str, Any]:
    """The object at a path of members; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def text_in(value: dict[str, Any], name: str) -> str:
    """A text; empty where there is none."""
    text = value.get(name)
    return text if isinstance(text, str) else ""


def arguments_in(function: dict[str, Any]) -> str:
    """The arguments of a call. Some compatible servers send the object instead of its text."""
    arguments = function.get("arguments")
    if isinstance(arguments, dict | list):
        return json_text(arguments)
    return arguments if isinstance(arguments, str) else ""


def call_id_in(call: dict[str, Any], answer_id: str, place: int) -> str:
    """The call's id; one that no other answer has, where the upstream gave none."""
    return text_in(call, "id") or f"call_{answer_id}_{place}"


def logprobs_in(value: Any) -> tuple[TokenLogprob, ...]:
    """Cohere tells them by pieces of text, each of one token or several: a piece's probability is the product."""
    items = value if isinstance(value, list) else [value]
    return tuple([logprob for item in items if (logprob := _logprob(item)) is not None])


def _logprob(item: Any) -> TokenLogprob | None:
    if not isinstance(item, dict):
        return None
    numbers = item.get("logprobs")
    if not isinstance(numbers, list) or not numbers:
        return None
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        return None
    return TokenLogprob(token=text_in(item, "text"), logprob=float(sum(numbers)))
