"""Upstreams bound in the transport. What a reload has not changed stays bound, with its connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from tollhouse.config.snapshot import Snapshot, Upstream
from tollhouse.core.secret import Secret

if TYPE_CHECKING:
    from tollhouse.adapters.http1 import Http1Transport
    from tollhouse.adapters.http1.target import Http1Target
    from tollhouse.ports.clock import Clock
    from tollhouse.ports.credential import Opener
    from tollhouse.stages.dispatch import Binding


def bind(
    snapshot: Snapshot,
    secrets: Mapping[str, str],
    transport: Http1Transport,
    clock: Clock,
    before: Mapping[str, Binding],
) -> dict[str, Binding]:
    """Every upstream, ready to be called; those of `before` that are reached in the same way are taken over.

    Blocks for some milliseconds where a CA file is read. Raises: ValueError for what cannot be bound.
    """
    bindings = {}
    for name, upstream in snapshot.providers.items():
        secret = secrets[upstream.credential] if upstream.credential is not None else None
        known = before.get(name)
        if known is not None and _is_reached_alike(known, upstream, secret, transport):
            bindings[name] = _with(known, upstream)
        else:
            bindings[name] = _bound(upstream, secret, transport, clock)
    return bindings


def _is_reached_alike(
    known: Binding, upstream: Upstream, secret: str | None, transport: Http1Transport
) -> bool:
    """Whether the connections of a binding, and what opens calls on them, serve an upstream as it is now."""
    old = known.upstream
    if (known.secret.reveal() if known.secret is not None else None) != secret:
        return False
    if (old.origin, old.egress, old.provider.auth) != (
        upstream.origin,
        upstream.egress,
        upstream.provider.auth,
    ):
        return False
    if old.settings != upstream.settings:
        return False
    # A CA file may have changed although its name has not.
    anew = transport.bind(upstream.origin, None, upstream.egress)
    return cast("Http1Target", known.target).tls is anew.tls


def _with(known: Binding, upstream: Upstream) -> Binding:
    """What is not about the way there may have changed: dialects, breakers, the path."""
    from tollhouse.stages.dispatch import Binding  # noqa: PLC0415

    if known.upstream == upstream:
        return known
    return Binding(upstream, known.target, known.secret, known.opener)


def _bound(upstream: Upstream, secret: str | None, transport: Http1Transport, clock: Clock) -> Binding:
    from tollhouse.adapters.credentials import opener_for  # noqa: PLC0415
    from tollhouse.ports.transport import Credential  # noqa: PLC0415
    from tollhouse.stages.dispatch import Binding  # noqa: PLC0415

    hidden = Secret(secret) if secret is not None else None
    opener: Credential | Opener | None = None
    if hidden is not None:
        opener = opener_for(
            upstream.provider.auth,
            hidden,
            upstream.origin,
            upstream.settings,
            transport,
            clock,
            egress=upstream.egress,
        )
    return Binding(
        upstream,
        transport.bind(upstream.origin, opener, upstream.egress),
        hidden,
        None if isinstance(opener, Credential) else opener,
    )
