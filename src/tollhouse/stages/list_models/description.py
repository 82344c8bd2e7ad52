"""What can be said of a model before it is called."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tollhouse.core.routing import Price
from tollhouse.ports.provider import Support


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a call may ask for, whichever of the route's deployments gets it. None: nobody knows."""

    chat: bool = False
    tools: bool = False
    vision: bool | None = None
    json_schema: Support = Support.REFUSED
    json_object: Support = Support.REFUSED
    thinking: bool = False
    embeddings: bool | None = None
    rerank: bool | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """One model, as a caller names it. None is not known."""

    id: str
    context_window_tokens: int | None
    """The smallest of the route's deployments; None where that of any is not known."""
    max_output_tokens: int | None
    """The same for answers."""
    price: Price | None
    """That of the first deployment."""
    capabilities: Capabilities
    parameters: tuple[str, ...]
    """Members of a chat completion that reach the model, in the words OpenRouter lists them by."""
    doors: Mapping[str, str]
    """The wire APIs it can be called in, each `straight` or `translated`."""
    counts: frozenset[str]
    """The wire APIs its tokens can be counted in."""
