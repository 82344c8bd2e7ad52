"""Whether this principal may ask for this."""

from __future__ import annotations

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal


def admit(principal: Principal, model: str) -> None:
    """May the principal use what it named? Raises: GatewayError `forbidden`, the same for routes that do not exist."""
    if principal.may_use(model):
        return
    allowed = ", ".join(principal.routes[:8]) or "none"
    raise GatewayError(
        ErrorKind.FORBIDDEN,
        f"This key may not use {model[:200]!r}.",
        blame=Blame.CLIENT,
        param="model",
        hint=f"Routes of this key: {allowed}. Ask for a key with more, or name one of these.",
    )


def passthrough_scope(provider: str) -> str:
    """What a key's routes must cover to reach a provider's own paths."""
    return f"passthrough/{provider}"
