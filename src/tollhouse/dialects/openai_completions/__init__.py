"""Text completions, `POST /completions`.

Source: OpenAI's API reference, https://platform.openai.com/docs/api-reference/completions, in the words of the types
and docstrings of openai-python 3.57.0, read 2026-11-24: `prompt` is required and may be null. Callers reach models that
converse as well, by the inbound half of the faces alone.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_family.asks import Subject
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.dialects.openai_family.unary import read_choices

from .faces import CompletionsFaces

_KNOWN: Final = frozenset(
    [
        "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "model", "n",
        "presence_penalty", "prompt", "seed", "stop", "stream", "stream_options", "suffix", "temperature",
        "top_p", "user",
    ]
)  # fmt: skip
"""The members the reference describes."""


def _is_content(choice: dict[str, Any]) -> bool:
    return bool(choice.get("text"))


DIALECT = FamilyDialect(
    name="openai_completions",
    operation=Operation.TEXT_COMPLETION,
    known=_KNOWN,
    subject=Subject(name="prompt", starts=b'"[n', wanted="a text, a list of texts or tokens, or null"),
    judge=read_choices,
    is_content=_is_content,
    chat=CompletionsFaces(),
)
