"""Who calls: the virtual key as the book knows it, and the principal it makes."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from .client_token import ClientToken
from .limits import Budget, Limits, Scope


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True):
    """A pass. Its text is shown once and kept nowhere; `digest` is what a presented text is compared by.

    `digest` is hex: HMAC-SHA-256 under the house's pepper for keys the house made (`scheme` "hmac"), plain SHA-256 for
    keys declared by hash in the configuration (`scheme` "sha256"). Times are seconds since the epoch, UTC.
    """

    id: str
    name: str
    digest: str
    scheme: str = "hmac"
    hint: str = ""
    """First and last letters, enough for a person to recognise the key by, too few to guess it."""
    team: str | None = None
    routes: tuple[str, ...] = ()
    """Globs over route names. A key without routes may use none."""
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    """For good."""
    disabled_at: float | None = None
    """Until it is enabled again."""
    former_digest: str | None = None
    """Of the text before the last rotation, which opens as well until `former_until`."""
    former_until: float | None = None
    limits: Limits = Limits()
    budget: Budget | None = None
    doors: tuple[str, ...] = ()
    """Operations it may ask for, such as `chat`; all where it names none."""
    networks: tuple[str, ...] = ()
    """Where calls may come from, as CIDR; anywhere where it names none."""
    hours: tuple[str, ...] = ()
    """When calls may come, such as `Mon-Fri 08:00-18:00 Europe/Berlin`; always where it names none."""
    tags: tuple[str, ...] = ()
    """On every call made with it."""
    max_output_tokens: int | None = None
    """The most one call may ask for."""
    metadata: Mapping[str, str] = {}
    """The operator's own notes; nothing here decides anything."""
    project: str | None = None
    """The id of its project, which is one of its team."""
    account: str | None = None
    """The id of the user or service account whose it is."""
    version: int = 0
    """Of the store's keys when this state was written, its row's `changed_version`: of two states the later has the
    higher. 0 for a key that is in no store, and for one that is yet to be added."""


class Upgrade(msgspec.Struct, frozen=True, kw_only=True, tag="upgrade"):
    """A key that is known by a foreign digest, unsalted, has been used: now the house's own can take its place."""

    key_id: str
    foreign: str
    """The digest it was found by, hex."""
    digest: str
    """HMAC-SHA-256 of the same text under the house's pepper, hex."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of one exchange, after the pass was checked."""

    key_id: str
    key_name: str
    team: str | None
    project: str | None = None
    account: str | None = None
    routes: tuple[str, ...]
    routes_at_most: tuple[tuple[str, ...], ...] = ()
    """What its team and its project leave it of those: globs over route names, one of each of which has to cover."""
    tags: tuple[str, ...] = ()
    limits: Limits = Limits()
    budget: Budget | None = None
    scopes: tuple[Scope, ...] = ()
    """Those it belongs to by the word of the store, which pay for its calls as well."""
    max_output_tokens: int | None = None
    expires_at: float | None = None
    client_token: ClientToken | None = None
    """What a page presented in place of the key, which is that of its back end. Its routes bound the key's."""

    @property
    def payer(self) -> str:
        """Whose end users are counted: the team's, or the key's alone."""
        return f"team:{self.team}" if self.team is not None else f"key:{self.key_id}"

    @property
    def tenant(self) -> str:
        """Whose what is remembered between calls is: the team's, or the key's alone. What pages leave behind is their
        own end user's, or where a token names none, that token's."""
        token = self.client_token
        if token is None:
            return self.payer
        if token.end_user is not None:
            return f"client:{self.key_id}:{token.end_user}"
        return f"client_token:{token.id}"

    def may_use(self, route: str) -> bool:
        """Whether one of the key's globs covers the route, one of its token's, and one of everybody's who bounds it."""
        if not any(fnmatchcase(route, glob) for glob in self.routes):
            return False
        token = self.client_token
        if token is not None and not any(fnmatchcase(route, glob) for glob in token.routes):
            return False
        return all(any(fnmatchcase(route, glob) for glob in most) for most in self.routes_at_most)
