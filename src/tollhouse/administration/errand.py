"""What is asked of the administration, what it answers, and what it needs for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tollhouse.core.authority import Action
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.people import Team
from tollhouse.core.sign_on import Login


class Errand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to be done, and who asks for it. Carries a credential: never logged, never stored."""

    action: Action
    target: str | None = None
    """The id of the thing, as it stood in the path."""
    query: Mapping[str, str] = {}
    body: bytes = b""
    credential: str = ""
    """The text of an admin key or session, or an identity provider's word; empty where `trusted` says who it is."""
    trusted: str = ""
    """Set by whoever has checked it by other means: `root` for the key the house was started with, `cli` for somebody
    who has its files."""
    nonce: str = ""
    """What the nonce in a provider's word was made of."""
    if_match: str | None = None
    idempotency_key: str | None = None
    request_id: str = ""
    peer: str = ""

    def __repr__(self) -> str:
        """Without what it carries."""
        return f"Errand({self.action.value})"


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has become of it."""

    status: int
    document: msgspec.Raw = msgspec.Raw(b"null")
    """JSON: what was asked for, or what is wrong."""
    etag: str | None = None
    has_changed: bool = False
    """Whether the store is another one now, so that workers have to be told."""
    error: Refusal | None = None
    actor_id: str | None = None
    """Who it was; None where that was not found out."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A GatewayError on its way from one process to another."""

    kind: str
    message: str
    blame: str
    hint: str = ""
    param: str | None = None


def no_sign_on(_: str, __: str) -> Login:
    """For a house without an identity provider. Raises: GatewayError."""
    raise GatewayError(
        ErrorKind.UNAUTHENTICATED,
        "This gateway has no single sign-on.",
        blame=Blame.OPERATOR,
        hint="Whoever runs it can set it up under identity.oidc.",
    )


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Time, chance and keys, each for one purpose."""

    now: Callable[[], float]
    entropy: Callable[[int], bytes]
    key_digest: Callable[[str], str]
    """Of a virtual key's text."""
    admin_key_digests: Callable[[str], Sequence[str]]
    """Of an admin key's text, under every key that it may have been stored with; the first is for new ones."""
    repeat_key: bytes
    """What the texts of credentials come from that are made by a request with an idempotency key."""
    audit_keys: Sequence[bytes]
    """The first seals, all of them verify."""
    sign_on: Callable[[str, str], Login] = no_sign_on
    """Who comes by an identity provider's word, and the secret that its nonce was made of. Raises: GatewayError."""
    declared_teams: Callable[[], Mapping[str, Team]] = dict
    """Those of the configuration, which are not changed here."""
