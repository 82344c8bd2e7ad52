"""Certificates that a trusted proxy tells of: whose they are, and what is no certificate."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate_authority import CertificateAuthority
from tollhouse.adapters.certificates import read_escaped
from tollhouse.core.certificates import (
    CertificateRefused,
    CertificateSubject,
    ClientCertificate,
    read_forwarded,
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.identity import Principal, VirtualKey
from tollhouse.core.operation import Operation
from tollhouse.core.secret import Secret
from tollhouse.stages.authenticate import Keyring, TrustedCertificates, authenticate

NOW = 1_800_000_000.0
HASH = "ab" * 32
CI = CertificateSubject(name="ci", uri="spiffe://example.org/ci", routes=("gpt",))
TOLD = f'By=spiffe://x/proxy;Hash={HASH};Subject="CN=ci,O=Example";URI=spiffe://example.org/ci;DNS=a;DNS=b'


def ring(*keys: VirtualKey) -> Keyring:
    made = Keyring(Secret("pepper"))
    made.learn(keys)
    made.set_loaded()
    made.set_freshness(is_fresh=True)
    return made


def enter(
    told: str, *subjects: CertificateSubject, keyring: Keyring | None = None, **headers: str
) -> Principal:
    return authenticate(
        {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
        keyring if keyring is not None else ring(),
        NOW,
        certificates=TrustedCertificates(subjects or (CI,), read_forwarded),
        certificate=told.encode(),
        operation=Operation.CHAT,
        peer="192.0.2.1",
    )


def refusal(
    told: str, *subjects: CertificateSubject, keyring: Keyring | None = None, **headers: str
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        enter(told, *subjects, keyring=keyring, **headers)
    return caught.value


def test_what_envoy_tells_is_read() -> None:
    assert read_forwarded(TOLD) == ClientCertificate(
        sha256=HASH, subject="CN=ci,O=Example", uris=("spiffe://example.org/ci",), dns=("a", "b")
    )
    quoted = rf'hash="{HASH.upper()}";Subject="O=\"A;B,C\\";uri='
    assert read_forwarded(quoted) == ClientCertificate(sha256=HASH, subject='O="A;B,C\\', uris=("",))


@pytest.mark.parametrize(
    "told",
    [
        "",
        "Hash",
        f"Hash={HASH};",
        f"Hash={HASH},Hash={HASH}",
        f"{TOLD},{TOLD}",
        f"{TOLD}, {TOLD}",
        f"Hash={HASH};Hash={'cd' * 32}",
        f"Hash={HASH};Subject=a;Subject=b",
        "Hash=abc;URI=spiffe://example.org/ci",
        "URI=spiffe://example.org/ci",
        f'Hash={HASH};Subject="open',
        f'Hash={HASH};Subject="a"b;URI=x',
        ";".join([f"Hash={HASH}", *["URI=x"] * 300]),
    ],
)
def test_what_is_not_told_in_one_way_only_is_refused(told: str) -> None:
    with pytest.raises(CertificateRefused):
        read_forwarded(told)


@given(st.text(max_size=100) | st.text(alphabet='Hash=Subject;,"\\URI ab', max_size=100))
def test_whatever_is_told_is_read_or_refused(told: str) -> None:
    for read in (read_forwarded, read_escaped):
        with pytest.raises(CertificateRefused):
            read(told)


def test_certificate_itself_is_read(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    issued = authority.issue("ci", uri="spiffe://example.org/ci", host="ci.example.org")
    certificate = read_escaped(quote(issued.pem))
    assert certificate.sha256 == issued.sha256
    assert certificate.subject == "CN=ci,O=Example"
    assert (certificate.uris, certificate.dns) == (("spiffe://example.org/ci",), ("ci.example.org",))
    with pytest.raises(CertificateRefused):
        read_escaped(quote(issued.pem + authority.issue("two").pem))
    expired = TrustedCertificates([CI], read_escaped)
    old = authority.issue("old", uri="spiffe://example.org/ci", days=-1)
    with pytest.raises(GatewayError, match="expired"):
        expired.identify(quote(old.pem).encode(), ring(), NOW, Operation.CHAT, "")


def test_everything_that_is_written_of_a_subject_must_be_so() -> None:
    assert enter(TOLD).key_id == "mtls:ci"
    for subject in (
        CertificateSubject(name="ci", sha256=HASH),
        CertificateSubject(name="ci", dns="b"),
        CertificateSubject(
            name="ci", subject="CN=ci,O=Example", dns="a", uri="spiffe://example.org/ci", sha256=HASH
        ),
    ):
        assert enter(TOLD, subject).key_id == "mtls:ci"
    for subject in (
        CertificateSubject(name="ci"),
        CertificateSubject(name="ci", dns="b", uri="spiffe://example.org/c"),
        CertificateSubject(name="ci", subject="CN=ci"),
        CertificateSubject(name="ci", sha256=HASH[:-1]),
    ):
        assert refusal(TOLD, subject).kind is ErrorKind.UNAUTHENTICATED


def test_key_that_is_shown_decides() -> None:
    assert enter(TOLD, x_api_key="mtls").key_id == "mtls:ci"
    assert refusal(TOLD, x_api_key="sk-other").kind is ErrorKind.UNAUTHENTICATED
    assert refusal(TOLD, authorization="Basic x").kind is ErrorKind.UNAUTHENTICATED
    assert refusal("").kind is ErrorKind.UNAUTHENTICATED


def test_subject_that_stands_for_a_key_is_held_to_what_the_key_is_held_to() -> None:
    stands = CertificateSubject(name="ci", sha256=HASH, key="key_1")
    key = VirtualKey(id="key_1", name="one", digest="cd" * 32, routes=("text",))
    assert enter(TOLD, stands, keyring=ring(key)).routes == ("text",)
    narrow = VirtualKey(id="key_1", name="one", digest="cd" * 32, networks=("10.0.0.0/8",))
    assert refusal(TOLD, stands, keyring=ring(narrow)).kind is ErrorKind.FORBIDDEN
    gone = VirtualKey(id="key_1", name="one", digest="cd" * 32, revoked_at=NOW)
    assert refusal(TOLD, stands, keyring=ring(gone)).kind is ErrorKind.UNAUTHENTICATED
    assert refusal(TOLD, stands).kind is ErrorKind.UNAUTHENTICATED
    assert refusal(TOLD, stands, keyring=Keyring(Secret("p"))).kind is ErrorKind.AUTH_UNAVAILABLE
