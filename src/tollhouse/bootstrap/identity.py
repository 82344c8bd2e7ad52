"""Who is let in by somebody else's word: what workers check it with, and how the keeper comes by the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tollhouse.config.identity import JwtIssuer, rooted_identity
from tollhouse.config.snapshot import from_wire

if TYPE_CHECKING:
    from tollhouse.ports.signing_keys import SigningKeys
    from tollhouse.runtime.edition import Edition


def signing_keys(document: bytes) -> SigningKeys:
    """Of a JWK Set. The library is loaded with the first. Raises: ValueError for what is none."""
    from tollhouse.adapters.signatures import PublishedKeys  # noqa: PLC0415

    return PublishedKeys(document)


class KeyFetch(msgspec.Struct, frozen=True, kw_only=True):
    """Implements runtime.key_sets.Fetch. Two that are equal lead to the same keys."""

    issuer: str
    url: str | None
    file: str | None
    ca_file: str | None

    def __call__(self) -> bytes:
        """See runtime.key_sets."""
        from tollhouse.adapters.identity_provider import KeySource, ProviderDown, read_keys  # noqa: PLC0415
        from tollhouse.adapters.signatures import PublishedKeys  # noqa: PLC0415
        from tollhouse.runtime.key_sets import KeySetUnavailable  # noqa: PLC0415

        try:
            document = read_keys(KeySource(self.issuer, self.url, self.file, self.ca_file))
            if not len(PublishedKeys(document)):
                raise KeySetUnavailable(
                    f"{self.issuer} publishes no key that signatures can be checked with."
                )
        except ProviderDown as error:
            raise KeySetUnavailable(str(error)) from None
        except ValueError as error:
            raise KeySetUnavailable(f"The keys of {self.issuer} cannot be read: {error}.") from None
        return document


class KeyFetches:
    """How the keys are had of everybody whose tokens an edition trusts."""

    def __init__(self, folder: Path) -> None:
        """Relative paths begin at `folder`."""
        self._folder = folder

    def __call__(self, edition: Edition) -> Mapping[str, Callable[[], bytes]]:
        """See runtime.keeper.Orders."""
        identity = rooted_identity(from_wire(edition.config).identity, self._rooted)
        return {name: _fetch_of(written) for name, written in identity.jwt.items()}

    def _rooted(self, path: str) -> str:
        return str(self._folder / path)


def _fetch_of(written: JwtIssuer) -> KeyFetch:
    return KeyFetch(
        issuer=written.issuer, url=written.jwks_url, file=written.jwks_file, ca_file=written.ca_file
    )
