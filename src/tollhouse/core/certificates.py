"""Client certificates, as a proxy that has checked them tells of them, and who they make their bearers."""

from __future__ import annotations

import re
from math import inf
from typing import Final

import msgspec

from .identity import Principal
from .limits import Budget, Limits

LONGEST_CERTIFICATE_BYTES: Final = 32_768
_MOST_FIELDS: Final = 200
_PAIR: Final = re.compile(r'([A-Za-z]{1,20})=(?:"((?:[^"\\]|\\.)*)"|([^",;\\]*))(;|,|\Z)', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class CertificateRefused(Exception):
    """What was told is no certificate, or not one that is read in one way only; the text is a sentence."""


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one."""

    sha256: str
    """Of the whole certificate in DER, hex in lower case."""
    subject: str
    """As RFC 4514 writes it, such as `CN=ci,O=Example`."""
    uris: tuple[str, ...] = ()
    """Of its alternative names."""
    dns: tuple[str, ...] = ()
    begins_at: float = -inf
    """Seconds since the epoch; where it is not told, whoever has checked the certificate has looked at that too."""
    ends_at: float = inf


class CertificateSubject(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who shows a certificate: all that is written of it must be so."""

    name: str
    uri: str | None = None
    dns: str | None = None
    subject: str | None = None
    sha256: str | None = None
    key: str | None = None
    """The id of a virtual key that it stands for; None for a caller of its own, who may what follows."""
    team: str | None = None
    routes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limits: Limits = Limits()
    budget: Budget | None = None

    def matches(self, certificate: ClientCertificate) -> bool:
        """Whether it is theirs."""
        told = [
            (self.uri, self.uri in certificate.uris),
            (self.dns, self.dns in certificate.dns),
            (self.subject, self.subject == certificate.subject),
            (self.sha256, self.sha256 == certificate.sha256),
        ]
        asked = [is_so for wanted, is_so in told if wanted is not None]
        return bool(asked) and all(asked)

    def principal(self) -> Principal:
        """Who they are, where they are a caller of their own."""
        return Principal(
            key_id=f"mtls:{self.name}",
            key_name=self.name,
            team=self.team,
            routes=self.routes,
            tags=self.tags,
            limits=self.limits,
            budget=self.budget,
        )


def read_forwarded(text: str) -> ClientCertificate:
    """What Envoy tells in `x-forwarded-client-cert`. Raises: CertificateRefused.

    Of several hops nobody can say here which of them were checked: one is taken and no more.
    """
    fields: dict[str, list[str]] = {}
    at = 0
    for _ in range(_MOST_FIELDS):
        match = _PAIR.match(text, at)
        if match is None:
            raise CertificateRefused("What the proxy tells of the client certificate cannot be read.")
        name, quoted, plain, after = match.groups()
        value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain
        fields.setdefault(name.lower(), []).append(value)
        at = match.end()
        if after == ",":
            raise CertificateRefused(
                "The proxy tells of more than one client certificate: have it send only the one it has checked."
            )
        if not after:
            return _certificate(fields)
    raise CertificateRefused("The proxy tells too much of the client certificate.")


def _certificate(fields: dict[str, list[str]]) -> ClientCertificate:
    digests, subjects = fields.get("hash", []), fields.get("subject", [""])
    if len(digests) != 1 or len(subjects) != 1 or _DIGEST.fullmatch(digests[0].lower()) is None:
        raise CertificateRefused("The proxy does not tell the client certificate's hash and subject once.")
    return ClientCertificate(
        sha256=digests[0].lower(),
        subject=subjects[0],
        uris=tuple(fields.get("uri", ())),
        dns=tuple(fields.get("dns", ())),
    )
