"""Certificates instead of keys: what a trusted proxy says of its caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tollhouse.core.certificates import (
    LONGEST_CERTIFICATE_BYTES,
    CertificateRefused,
    CertificateSubject,
    ClientCertificate,
)
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation

from .keyring import Keyring

NO_KEY: Final = b"mtls"
"""What callers may write for a key whose software insists on one."""
_MOST_REMEMBERED: Final = 1_000

Found = tuple[ClientCertificate, CertificateSubject, Principal]


class TrustedCertificates:
    """The subjects of one configuration."""

    def __init__(
        self, subjects: Sequence[CertificateSubject], read: Callable[[str], ClientCertificate]
    ) -> None:
        """The first subject that a certificate matches has it. `read` makes one of what the proxy says; it raises
        CertificateRefused."""
        self._subjects = tuple(subjects)
        self._read = read
        self._found: dict[bytes, Found] = {}
        """By the whole of what was said."""

    def identify(
        self, told: bytes, keyring: Keyring, now: float, operation: Operation, peer: str
    ) -> Principal:
        """The principal of a certificate that is shown at `now` (seconds since the epoch). `told` comes from a proxy
        that has checked it, and from nobody else.

        Raises: GatewayError `unauthenticated`; where the subject stands for a key, what the key's own would be.
        """
        found = self._found.get(told) or self._find(told)
        certificate, subject, principal = found
        if not certificate.begins_at <= now < certificate.ends_at:
            raise _refused("The client certificate has expired, or does not hold yet.")
        if subject.key is not None:
            return keyring.open(subject.key, now, operation, peer)
        return principal

    def _find(self, told: bytes) -> Found:
        if len(told) > LONGEST_CERTIFICATE_BYTES:
            raise _refused(f"The client certificate is told in more than {LONGEST_CERTIFICATE_BYTES} bytes.")
        try:
            certificate = self._read(told.decode("latin-1"))
        except CertificateRefused as refused:
            raise _refused(str(refused)) from None
        for subject in self._subjects:
            if subject.matches(certificate):
                if len(self._found) >= _MOST_REMEMBERED:
                    self._found.clear()
                found = self._found[told] = (certificate, subject, subject.principal())
                return found
        raise _refused("The client certificate is nobody's who is let in here.")


def _refused(message: str) -> GatewayError:
    return GatewayError(
        ErrorKind.UNAUTHENTICATED,
        message,
        blame=Blame.CLIENT,
        hint="Send a key as `Authorization: Bearer <your key>`, or ask whoever runs the gateway to add your "
        "certificate under identity.mtls.subjects.",
    )
