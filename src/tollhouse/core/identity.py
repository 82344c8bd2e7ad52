"""Who calls: the virtual key as the book knows it, and the principal it makes."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec


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


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of one exchange, after the pass was checked."""

    key_id: str
    key_name: str
    team: str | None
    routes: tuple[str, ...]

    @property
    def tenant(self) -> str:
        """Whose what is remembered between calls is: the team's, or the key's alone."""
        return f"team:{self.team}" if self.team is not None else f"key:{self.key_id}"

    def may_use(self, route: str) -> bool:
        """Whether one of the key's globs covers the route."""
        return any(fnmatchcase(route, glob) for glob in self.routes)
