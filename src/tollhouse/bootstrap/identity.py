"""Who is let in by somebody else's word: what workers check it with, and how the keeper comes by the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollhouse.administration import no_sign_on
from tollhouse.config.identity import Identity, JwtIssuer, Oidc, rooted_identity, sign_on_of, subjects_of
from tollhouse.config.snapshot import from_wire
from tollhouse.core.certificates import ClientCertificate, read_forwarded
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.sign_on import Login, SignOn, login_of
from tollhouse.core.tokens import Token, TokenRefused, read_token

if TYPE_CHECKING:
    from tollhouse.ports.signing_keys import SigningKeys
    from tollhouse.runtime.edition import Edition
    from tollhouse.runtime.link import KeySet
    from tollhouse.stages.authenticate import TrustedCertificates


_SIGN_ON: Final = "single:sign-on"
"""The name of its provider's set of keys: no name of an issuer has a colon."""
_ASK_AGAIN_S: Final = 30.0


def signing_keys(document: bytes) -> SigningKeys:
    """Of a JWK Set. The library is loaded with the first. Raises: ValueError for what is none."""
    from tollhouse.adapters.signatures import PublishedKeys  # noqa: PLC0415

    return PublishedKeys(document)


def trusted_certificates(identity: Identity) -> TrustedCertificates | None:
    """Those by which callers are known; None where nobody is."""
    from tollhouse.stages.authenticate import TrustedCertificates  # noqa: PLC0415

    if identity.mtls is None:
        return None
    read = _read_escaped if identity.mtls.header == "x-client-cert" else read_forwarded
    return TrustedCertificates(subjects_of(identity.mtls), read)


def _read_escaped(text: str) -> ClientCertificate:
    """The library is loaded with the first."""
    from tollhouse.adapters.certificates import read_escaped  # noqa: PLC0415

    return read_escaped(text)


class IdTokens:
    """Who comes by an identity provider's word. Implements runtime.keeper.SignOn, and `Tools.sign_on`.

    Its keys come to it on the loop's thread, and are used on that of the store.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` are seconds since the epoch."""
        self._now = now
        self._sign_on: SignOn | None = None
        self._keys: tuple[SigningKeys, KeySet] | None = None
        self._wanted = False

    def trust(self, oidc: Oidc | None) -> None:
        """This provider and no other."""
        self._sign_on = sign_on_of(oidc) if oidc is not None else None

    def learn(self, keys: KeySet) -> None:
        """See runtime.keeper."""
        if keys.name == _SIGN_ON:
            self._keys = (signing_keys(keys.document), keys)

    def take_wanted(self) -> list[str]:
        """See runtime.keeper."""
        is_wanted, self._wanted = self._wanted, False
        return [_SIGN_ON] if is_wanted else []

    def __call__(self, text: str, secret: str) -> Login:
        """Raises: GatewayError `unauthenticated`, or `auth_unavailable` where the provider's keys are not known."""
        sign_on = self._sign_on
        if sign_on is None:
            return no_sign_on(text, secret)
        try:
            token = read_token(text.encode("latin-1", "replace"))
            if token.issuer != sign_on.issuer or token.algorithm not in sign_on.algorithms:
                raise TokenRefused(
                    "This is not the word of the identity provider that people come from here."
                )
            self._check_signature(token)
            return login_of(sign_on, token.claims, secret, self._now())
        except TokenRefused as refused:
            raise GatewayError(
                ErrorKind.UNAUTHENTICATED,
                str(refused),
                blame=Blame.CLIENT,
                hint="Log in again: `tollhouse login`.",
            ) from None

    def _check_signature(self, token: Token) -> None:
        if self._keys is None or self._now() >= self._keys[1].usable_until:
            raise _no_keys()
        keys, told = self._keys
        if token.key_id is not None and not keys.has(token.key_id):
            if self._now() < told.fetched_at + _ASK_AGAIN_S:
                raise TokenRefused("The provider's word is signed by a key that it has not published.")
            self._wanted = True
            raise _no_keys()
        if not keys.check(token.algorithm, token.key_id, token.signed, token.signature):
            raise TokenRefused("The signature is not the identity provider's.")


def _no_keys() -> GatewayError:
    return GatewayError(
        ErrorKind.AUTH_UNAVAILABLE,
        "Nobody can be let in now: the keys of the identity provider are out of reach.",
        blame=Blame.OPERATOR,
        hint="Try again shortly. An admin key opens in any case.",
        retry_after_s=2.0,
    )


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
        fetches = {name: _fetch_of(written) for name, written in identity.jwt.items()}
        if (oidc := identity.oidc) is not None:
            fetches[_SIGN_ON] = KeyFetch(
                issuer=oidc.issuer, url=oidc.jwks_url, file=None, ca_file=oidc.ca_file
            )
        return fetches

    def _rooted(self, path: str) -> str:
        return str(self._folder / path)


def _fetch_of(written: JwtIssuer) -> KeyFetch:
    return KeyFetch(
        issuer=written.issuer, url=written.jwks_url, file=written.jwks_file, ca_file=written.ca_file
    )
