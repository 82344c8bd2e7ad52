"""Names in `anthropic-beta`: previews that some upstreams do not have, call otherwise, or have for everybody by now.

Sources, read 2026-11-25: https://platform.claude.com/docs/en/api/beta-headers,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool (the name on Bedrock and Vertex). Which
names an upstream takes stands with the provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_ELSEWHERE: Final = MappingProxyType({"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"})
_OTHER_NAMES: Final = MappingProxyType({"bedrock_anthropic": _ELSEWHERE, "vertex_anthropic": _ELSEWHERE})
"""By kind of provider: what is called otherwise there."""

_FOR_EVERYBODY: Final = frozenset(
    {
        "extended-cache-ttl-2025-04-11",
        "max-tokens-3-5-sonnet-2024-07-15",
        "message-batches-2024-09-24",
        "pdfs-2024-09-25",
        "prompt-caching-2024-07-31",
        "structured-outputs-2025-11-13",
        "token-counting-2024-11-01",
    }
)
"""Generally available without a name: leaving one out loses nothing."""


def filter_betas(kind: str, betas: Sequence[str], allow: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The names to send, in the caller's order, and the caller's names the upstream is not told of.

    `allow` are globs over the names the upstream takes; None: all of them, as they are.
    """
    if allow is None:
        return list(betas), []
    others = _OTHER_NAMES.get(kind, _NONE)
    kept: dict[str, None] = {}
    removed: dict[str, None] = {}
    for name in betas:
        there = others.get(name, name)
        if any(fnmatchcase(there, glob) for glob in allow):
            kept[there] = None
        elif name not in _FOR_EVERYBODY:
            removed[name] = None
    return list(kept), list(removed)
