"""The context that is too long: how providers say it, and how each dialect's clients want it said.

Agents shorten a conversation only when they recognise the sentence, and each looks for the one of its own provider. So
the writers here put that sentence in front, with the numbers where the provider told them, and keep the provider's own
words behind it. Sources: recorded answers, and the patterns by which pi, opencode, Cline and Claude Code recognise an
overflow; read 2026-11-25.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tollhouse.core.errors import ErrorKind, GatewayError

_CODES: Final = frozenset(
    [
        "context_length_exceeded", "exceed_context_size_error", "context_window_exceeded",
        "model_context_window_exceeded", "model_max_prompt_tokens_exceeded", "too_many_tokens",
    ]
)  # fmt: skip
_WORDS: Final = re.compile(
    r"maximum (context|model|prompt|input|sequence) length|max context length|max_model_len"
    r"|context (length|window|size|limit)|(prompt|input|request) is too long|prompt too long"
    r"|prompt exceeds max length|token limit exceeded"
    r"|too many (input )?tokens|input tokens exceed|input token count|token count of [0-9]+ exceeds"
    r"|exceeded model token limit|maximum number of tokens|length of (the|your) (messages|prompt|input)"
    r"|too large for model with|`inputs` (tokens \+|must have less than)|exceeds? (the )?maximum input length"
    r"|cannot truncate to [0-9]",
    re.IGNORECASE,
)
"""As OpenAI, vLLM, Anthropic, Mistral, Groq, Gemini, xAI, Together, Cohere, Bedrock, Ollama, Z.AI, Moonshot, Copilot
and llama.cpp say it."""
_TEXTS: Final = re.compile(r"(^|[.\]])(content|text|input|prompt|instructions|output)(\[[0-9]+\])*")
"""The members a conversation's text stands in; OpenAI bounds names and ids by the same code, and these are no reason
to make a conversation shorter."""

_LIMIT: Final = re.compile(
    r"(?:maximum (?:context|prompt|model) length(?::| is| of) |context limit: [0-9]{1,9} \+ [0-9]{1,9} > |tokens > "
    r"|tokens allowed \(?|must be <= |limit is |limit of |limit for this model is "
    r"|context (?:size|length|window) (?:\(|of )|too large for model with |must have less than )([0-9]{1,9})",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    r"(?:resulted in |requested (?:about )?|request has |token count (?:\(|of )|contains |current length is "
    r"|input \(|request \(|prompt is too long:? |given: )([0-9]{1,9})(?![0-9])",
    re.IGNORECASE,
)


class Wording(msgspec.Struct, frozen=True):
    """How a dialect says it. The sentences end where the provider's words follow."""

    known: re.Pattern[str]
    """Clients recognise what this finds; nothing is put before it."""
    plain: str
    limited: str
    """With the model's `{limit}` in tokens."""
    counted: str
    """With `{limit}` and the `{asked}` number of tokens."""


OPENAI: Final = Wording(
    re.compile(r"maximum context length (is\b|.{0,80}tokens)", re.IGNORECASE),
    "The model's maximum context length in tokens is exceeded. ",
    "This model's maximum context length is {limit} tokens. ",
    "This model's maximum context length is {limit} tokens. However, your messages resulted in {asked} tokens. ",
)
ANTHROPIC: Final = Wording(
    re.compile(r"prompt is too long|exceed context limit", re.IGNORECASE),
    "prompt is too long: ",
    "prompt is too long: ",
    "prompt is too long: {asked} tokens > {limit} maximum. ",
)
GOOGLE: Final = Wording(
    re.compile(r"input token count.{0,40}exceeds the maximum number of tokens", re.IGNORECASE),
    "The input token count exceeds the maximum number of tokens allowed. ",
    "The input token count exceeds the maximum number of tokens allowed ({limit}). ",
    "The input token count ({asked}) exceeds the maximum number of tokens allowed ({limit}). ",
)
BEDROCK: Final = Wording(
    re.compile(r"too long", re.IGNORECASE),
    "Input is too long for requested model. ",
    "Input is too long for requested model. ",
    "Input is too long for requested model. ",
)
COHERE: Final = Wording(
    re.compile(r"too many tokens", re.IGNORECASE),
    "too many tokens: ",
    "too many tokens: ",
    "too many tokens: ",
)


def is_overflow(message: str, code: str | None, kind: str | None, param: str | None) -> bool:
    """Whether a refusal means that the input is longer than the model's window."""
    names = {name.lower() for name in (code, kind) if name is not None}
    if not names.isdisjoint(_CODES):
        return True
    if "string_above_max_length" in names:
        return param is not None and _TEXTS.search(param.rpartition(".")[2]) is not None
    return _WORDS.search(message) is not None


def is_named_overflow(code: str | None, kind: str | None) -> bool:
    """The same by its code alone: good enough where the status says that it was the provider who failed."""
    return any(name.lower() in _CODES for name in (code, kind) if name is not None)


def told(error: GatewayError, wording: Wording) -> str:
    """The error's message, which begins with the dialect's own sentence if it is about too long a context."""
    message = error.message
    if error.kind is not ErrorKind.CONTEXT_LENGTH_EXCEEDED or wording.known.search(message):
        return message
    asked, limit = counts_in(message)
    if limit is None:
        return wording.plain + message
    if asked is None:
        return wording.limited.format(limit=limit) + message
    return wording.counted.format(asked=asked, limit=limit) + message


def counts_in(message: str) -> tuple[int | None, int | None]:
    """How many tokens were asked for and how many the model takes, as far as the words tell both believably."""
    found = _LIMIT.search(message)
    limit = int(found[1]) if found is not None else None
    found = _ASKED.search(message)
    asked = int(found[1]) if found is not None else None
    if limit is None or asked is None or asked <= limit:
        return None, limit
    return asked, limit
