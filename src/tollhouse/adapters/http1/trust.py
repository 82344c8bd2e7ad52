"""TLS as the gateway speaks it: names and chains are always checked, and failures are told in plain words."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

_UNKNOWN_ISSUER = "its certificate is from an issuer that is not trusted here; a private CA needs a CA file"
_WRONG_HOST = "its certificate is for another host; check the base URL"
_VERDICTS: Final = {
    9: "its certificate is not valid yet; is this machine's clock right?",
    10: "its certificate has expired; it must be renewed there (or this machine's clock is wrong)",
    62: _WRONG_HOST,
    64: _WRONG_HOST,
} | dict.fromkeys((2, 18, 19, 20, 21), _UNKNOWN_ISSUER)
"""By the codes X509_V_ERR_* of OpenSSL's x509_vfy.h."""


class Trust:
    """TLS contexts, made once for each set of authorities. Loading the system's takes tens of milliseconds."""

    __slots__ = ("_contexts",)

    def __init__(self) -> None:
        self._contexts: dict[str | None, tuple[tuple[int, int], ssl.SSLContext]] = {}

    def context(self, ca_file: str | None) -> ssl.SSLContext:
        """The system's authorities, or only those of a file; a file that has changed is read again.

        Raises: ValueError when the file cannot be used.
        """
        version = (0, 0)
        try:
            if ca_file is not None:
                stat = Path(ca_file).stat()
                version = (stat.st_mtime_ns, stat.st_size)
            known = self._contexts.get(ca_file)
            if known is not None and known[0] == version:
                return known[1]
            context = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ValueError(
                f"The CA file {ca_file} cannot be used: {error.strerror or 'it holds no PEM certificate'}."
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self._contexts[ca_file] = (version, context)
        return context


def explain(error: Exception) -> str:
    """Why a handshake failed, as the end of a sentence, with what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERDICTS.get(error.verify_code, f"its certificate was not accepted ({error.verify_message})")
    if isinstance(error, ssl.SSLError) and error.reason:
        reason = error.reason.lower().replace("_", " ")
        return f"the TLS handshake failed ({reason}); is this a TLS port, and does it speak TLS 1.2 or later?"
    return "it closed the connection during the TLS handshake"
