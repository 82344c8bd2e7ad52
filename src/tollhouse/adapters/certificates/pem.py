"""A client certificate as nginx passes it on: PEM, percent-encoded (`$ssl_client_escaped_cert`)."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tollhouse.core.certificates import CertificateRefused, ClientCertificate


def read_escaped(text: str) -> ClientCertificate:
    """Raises: CertificateRefused for what is not one certificate."""
    try:
        found = x509.load_pem_x509_certificates(unquote_to_bytes(text))
        if len(found) != 1:
            raise CertificateRefused("The proxy tells of more than one client certificate.")
        certificate = found[0]
        names = _names(certificate)
        return ClientCertificate(
            sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            subject=certificate.subject.rfc4514_string(),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
            dns=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
            begins_at=certificate.not_valid_before_utc.timestamp(),
            ends_at=certificate.not_valid_after_utc.timestamp(),
        )
    except (ValueError, x509.DuplicateExtension):
        raise CertificateRefused("What the proxy tells of the client certificate cannot be read.") from None


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
