"""From a provider's way of being opened and a secret to what the transport takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.credential import Opener
from tollhouse.ports.provider import Auth, AuthScheme
from tollhouse.ports.transport import Credential, Egress, Origin, Transport

from .entra import EntraOpener
from .google import GoogleServiceAccountOpener
from .sigv4 import SigV4Opener


def opener_for(
    auth: Auth,
    secret: Secret,
    origin: Origin,
    settings: Mapping[str, str],
    transport: Transport,
    clock: Clock,
    *,
    egress: Egress | None = None,
) -> Credential | Opener:
    """What opens `origin` with `secret`, as ports.provider.AuthScheme tells by the secret's form.

    `settings` are the provider's; AWS needs `region`. Tokens are minted over `transport`, by the way `egress`
    describes, which is the provider's own: where it is reached through a proxy, identity services are too.

    Raises: ValueError for a secret that cannot be one of its kind; the message does not show it.
    """
    text = secret.reveal()
    match auth.scheme:
        case AuthScheme.HEADER:
            pass
        case AuthScheme.AWS_SIGV4:
            if ":" in text:
                return SigV4Opener(
                    origin, secret, region=settings.get("region", ""), service=auth.service, clock=clock
                )
        case AuthScheme.ENTRA:
            if _is_json(text):
                return EntraOpener(
                    origin, secret, scope=auth.scope, transport=transport, clock=clock, egress=egress
                )
        case AuthScheme.GOOGLE_SERVICE_ACCOUNT:
            if _is_json(text):
                return GoogleServiceAccountOpener(
                    origin, secret, scope=auth.scope, transport=transport, clock=clock, egress=egress
                )
        case _:  # pragma: no cover - the type checker proves it unreachable
            assert_never(auth.scheme)
    return Credential(origin=origin, header=auth.header.encode("ascii"), value=Secret(auth.prefix + text))


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")
