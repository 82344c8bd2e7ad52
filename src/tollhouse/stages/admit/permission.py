"""Whether this principal may ask for this."""

from __future__ import annotations

from collections.abc import Iterable

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal
from tollhouse.limits.counters import ScopeCounters


def admit(principal: Principal, model: str) -> None:
    """May the principal use what it named? Raises: GatewayError `forbidden`, the same for routes that do not exist."""
    if principal.may_use(model):
        return
    allowed = ", ".join(principal.routes[:8]) or "none"
    for most in principal.routes_at_most:
        allowed += f"; at most {', '.join(most[:8]) or 'none'}, by its team or project"
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


def check_size(scopes: Iterable[ScopeCounters], body_bytes: int) -> None:
    """Whether everybody who pays for a call lets it be so large. Raises: GatewayError `invalid_request`, status 413."""
    for scope in scopes:
        most = scope.scope.limits.max_body_bytes
        if most is not None and body_bytes > most:
            raise GatewayError(
                ErrorKind.INVALID_REQUEST,
                f"The request's body has {body_bytes:,} bytes; those of {scope.said} may have {most:,}.",
                blame=Blame.CLIENT,
                hint="Send less, or ask the operator to raise `max_body_bytes` of its limits.",
                status=413,
            )
