"""Upstreams bound in the transport. What a reload has not changed stays bound, with its connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from tollhouse.config.deployments import provider_of
from tollhouse.config.snapshot import Snapshot, Upstream
from tollhouse.core.secret import Secret

if TYPE_CHECKING:
    from tollhouse.adapters.http1 import Http1Transport
    from tollhouse.adapters.http1.target import Http1Target
    from tollhouse.ports.clock import Clock
    from tollhouse.ports.credential import Opener
    from tollhouse.runtime.checkups import Subject
    from tollhouse.stages.dispatch import Binding


def bind(
    snapshot: Snapshot,
    secrets: Mapping[str, Secret],
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
    known: Binding, upstream: Upstream, secret: Secret | None, transport: Http1Transport
) -> bool:
    """Whether the connections of a binding, and what opens calls on them, serve an upstream as it is now."""
    old = known.upstream
    if not _is_same(known.secret, secret):
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


def _is_same(one: Secret | None, other: Secret | None) -> bool:
    return one is other if one is None or other is None else one.matches(other)


def _with(known: Binding, upstream: Upstream) -> Binding:
    """What is not about the way there may have changed: dialects, breakers, the path."""
    from tollhouse.stages.dispatch import Binding  # noqa: PLC0415

    if known.upstream == upstream:
        return known
    return Binding(upstream, known.target, known.secret, known.opener)


def _bound(upstream: Upstream, secret: Secret | None, transport: Http1Transport, clock: Clock) -> Binding:
    from tollhouse.adapters.credentials import opener_for  # noqa: PLC0415
    from tollhouse.ports.transport import Credential  # noqa: PLC0415
    from tollhouse.stages.dispatch import Binding  # noqa: PLC0415

    opener: Credential | Opener | None = None
    if secret is not None:
        opener = opener_for(
            upstream.provider.auth,
            secret,
            upstream.origin,
            upstream.settings,
            transport,
            clock,
            egress=upstream.egress,
        )
    return Binding(
        upstream,
        transport.bind(upstream.origin, opener, upstream.egress),
        secret,
        None if isinstance(opener, Credential) else opener,
    )


def bind_checks(
    snapshot: Snapshot, transport: Http1Transport, before: Mapping[str, Subject]
) -> dict[str, Subject]:
    """Every provider with a `health_check`, by its name in the file; those of `before` that are the same stay.

    All accounts of a provider are looked at together, and without a credential. Blocks and raises as `bind` does.
    """
    from tollhouse.runtime.checkups import Subject  # noqa: PLC0415

    subjects: dict[str, Subject] = {}
    for account, upstream in snapshot.providers.items():
        if upstream.health_check is None:
            continue
        name = provider_of(account)
        known = subjects.get(name)
        if known is not None:
            subjects[name] = msgspec.structs.replace(known, accounts=(*known.accounts, account))
            continue
        subjects[name] = Subject(
            target=transport.bind(upstream.origin, None, upstream.egress),
            egress=upstream.egress,
            check=upstream.health_check,
            accounts=(account,),
        )
    return {name: _unless_same(before.get(name), subject) for name, subject in subjects.items()}


def _unless_same(known: Subject | None, subject: Subject) -> Subject:
    """The one known from before, where it is reached in the same way and looked at alike."""
    if known is None:
        return subject
    old, new = cast("Http1Target", known.target), cast("Http1Target", subject.target)
    is_reached_alike = old.origin == new.origin and old.tls is new.tls
    return known if is_reached_alike and msgspec.structs.replace(subject, target=old) == known else subject
