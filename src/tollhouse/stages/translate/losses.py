"""What an upstream cannot be told: declared, or the call refused before anything is spent. Never silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.request import Field, Loss
from tollhouse.core.routing import UnknownParameters

_VITAL: Final = frozenset(
    [
        "background", "cachedContent", "cached_content", "container", "conversation", "mcp_servers",
        "previous_response_id", "prompt",
    ]
)  # fmt: skip
"""Members without which the conversation itself would be another."""
_LONGEST_WORD: Final = 100


def declare(
    losses: Iterable[Loss],
    leftovers: Iterable[str],
    words: Mapping[Field, str],
    mode: UnknownParameters,
    upstream: str,
) -> tuple[str, ...]:
    """Everything that is lost, in the caller's words, each once.

    Raises: GatewayError `unsupported_parameter` where something vital is, or with STRICT anything.
    """
    dropped: dict[str, None] = {}
    for loss in losses:
        word = words.get(loss.field, loss.field.value)
        if mode is UnknownParameters.STRICT or (loss.is_vital and mode is not UnknownParameters.DROP):
            raise refused(word, loss.why, upstream)
        dropped[word] = None
    for path in leftovers:
        if mode is UnknownParameters.STRICT or (path in _VITAL and mode is not UnknownParameters.DROP):
            raise refused(path, "", upstream)
        dropped[path] = None
    return tuple(dropped)


def refused(word: str, why: str, upstream: str) -> GatewayError:
    """The call cannot be made without it, or shall not."""
    sentence = why or f"`{word[:_LONGEST_WORD]}` cannot be carried to this model's upstream."
    return GatewayError(
        ErrorKind.UNSUPPORTED_PARAMETER,
        sentence,
        blame=Blame.CLIENT,
        param=word[:_LONGEST_WORD],
        hint=f"Leave it out, or ask for a model whose upstream takes it ({upstream!r} does not). The operator can set "
        "`unknown_parameters: drop` on the route to have it left out.",
    )


def header_text(dropped: Iterable[str]) -> bytes:
    """The value of `x-tollhouse-dropped`: bounded, and nothing that could end a header."""
    words = [
        "".join(letter if 0x21 <= ord(letter) <= 0x7E and letter != "," else "?" for letter in word)
        for word in dropped
    ]
    text = ", ".join(words)
    return text[:2000].encode("ascii")
