"""TLS failures are told to people."""

from __future__ import annotations

import ssl

import pytest

from tollhouse.adapters.http1.trust import Trust, explain


def failed_check(code: int, text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, text)
    error.verify_code, error.verify_message = code, text
    return error


@pytest.mark.parametrize(
    ("code", "word"),
    [(9, "not valid yet"), (10, "expired"), (20, "not trusted"), (62, "another host"), (64, "another host")],
)
def test_rejected_certificate_is_explained(code: int, word: str) -> None:
    assert word in explain(failed_check(code, "certificate verify failed"))


def test_unknown_verdict_is_told_in_the_words_of_the_library() -> None:
    assert "certificate revoked" in explain(failed_check(23, "certificate revoked"))


def test_broken_handshake_is_told_by_its_reason() -> None:
    error = ssl.SSLError(1, "x")
    error.reason = "WRONG_VERSION_NUMBER"
    assert "wrong version number" in explain(error)
    assert "closed the connection" in explain(ConnectionResetError())


def test_context_is_made_once_and_checks_names_and_chains() -> None:
    trust = Trust()
    context = trust.context(None)
    assert trust.context(None) is context
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
