"""What identity services are asked, what of their answers is taken, and what is never shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contract.transport.rig import POST, Bench, Rig
from contract.transport.upstream import OK, Upstream, answering, closing_after
from tollhouse.adapters.credentials import EntraOpener, GoogleServiceAccountOpener
from tollhouse.adapters.system import SystemClock
from tollhouse.core.errors import ErrorKind
from tollhouse.core.secret import Secret
from tollhouse.ports.credential import Opener
from tollhouse.ports.transport import Egress, Origin, Phase, TransportError

API = Origin("https", "api.example", 443)


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def entra(bench: Bench, port: int, origin: Origin = API, scope: str = "", **more: str) -> EntraOpener:
    client = {
        "tenant_id": "my-tenant",
        "client_id": "my-client",
        "client_secret": "s3cret&=",
        "authority": f"http://127.0.0.1:{port}/",
    } | more
    return EntraOpener(
        origin, Secret(json.dumps(client)), scope=scope, transport=bench.transport, clock=SystemClock()
    )


def google(bench: Bench, port: int, **more: str) -> GoogleServiceAccountOpener:
    key = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k1",
        "private_key": pem(private_key()),
        "client_email": "me@p.iam.gserviceaccount.com",
        "token_uri": f"http://127.0.0.1:{port}/token",
    } | more
    return GoogleServiceAccountOpener(
        API, Secret(json.dumps(key)), transport=bench.transport, clock=SystemClock()
    )


def reply(document: object, status: bytes = b"200 OK") -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


GRANTED = reply({"token_type": "Bearer", "expires_in": 3599, "access_token": "minted"})
BEARER = ((b"authorization", b"Bearer minted"),)


def run(scenario: Any) -> None:
    Rig("http1-uvloop").run(scenario)


async def opened(opener: Opener) -> tuple[tuple[bytes, bytes], ...]:
    return await opener.headers(POST, SystemClock().monotonic() + 5.0)


async def failure(opener: Opener) -> str:
    with pytest.raises(TransportError) as caught:
        await opened(opener)
    assert (caught.value.kind, caught.value.phase) == (ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT)
    message = str(caught.value)
    assert "s3cret" not in message
    assert "PRIVATE" not in message
    return message


def form(upstream: Upstream) -> tuple[bytes, dict[str, str]]:
    head, _, body = upstream.requests[0].partition(b"\r\n\r\n")
    assert b"content-type: application/x-www-form-urlencoded" in head
    return head.split(b"\r\n")[0], {name: value[0] for name, value in parse_qs(body.decode()).items()}


def test_entra_is_asked_by_the_client_credentials_flow() -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(GRANTED))
        opener = entra(bench, upstream.port)
        assert [await opened(opener) for _ in range(3)] == [BEARER] * 3
        assert len(upstream.requests) == 1
        first, fields = form(upstream)
        assert first == b"POST /my-tenant/oauth2/v2.0/token HTTP/1.1"
        assert fields == {
            "grant_type": "client_credentials",
            "client_id": "my-client",
            "client_secret": "s3cret&=",
            "scope": "https://cognitiveservices.azure.com/.default",
        }
        other = entra(
            bench, (second := await bench.upstream(answering(GRANTED))).port, scope="https://x/.default"
        )
        await opened(other)
        assert form(second)[1]["scope"] == "https://x/.default"

    run(scenario)


def test_google_is_asked_with_a_signed_assertion() -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(GRANTED))
        assert await opened(google(bench, upstream.port)) == BEARER
        first, fields = form(upstream)
        assert first == b"POST /token HTTP/1.1"
        assert fields["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        signed, _, signature = fields["assertion"].rpartition(".")
        header, claims = (json.loads(unpadded(part)) for part in signed.split("."))
        assert header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        issued = claims.pop("iat")
        assert abs(issued - SystemClock().now()) < 10
        assert claims == {
            "iss": "me@p.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": f"http://127.0.0.1:{upstream.port}/token",
            "exp": issued + 3_600,
        }
        private_key().public_key().verify(unpadded(signature), signed.encode(), PKCS1v15(), SHA256())

    run(scenario)


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_call_carries_the_token() -> None:
    async def scenario(bench: Bench) -> None:
        login = await bench.upstream(answering(GRANTED))
        upstream = await bench.upstream(answering(OK))
        origin = Origin("http", "127.0.0.1", upstream.port)
        target = bench.transport.bind(origin, entra(bench, login.port, origin))
        assert await bench.call(target) == (200, b"{}")
        assert b"\r\nauthorization: Bearer minted\r\n" in upstream.requests[0]

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(
            reply(
                {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid s3cret&= provided."},
                b"401 Unauthorized",
            ),
            "status 401 (invalid_client, AADSTS7000215)",
            id="microsoft",
        ),
        pytest.param(
            reply({"error": "invalid_grant", "error_description": "Bad s3cret"}, b"400 Bad Request"),
            "status 400 (invalid_grant)",
            id="google",
        ),
        pytest.param(reply({"error": "the s3cret&="}, b"400 Bad"), "status 400.", id="not-a-word"),
        pytest.param(reply(b"<html>s3cret", b"403 Forbidden"), "status 403.", id="not-json"),
        pytest.param(reply(["s3cret"], b"403 Forbidden"), "status 403.", id="not-an-object"),
        pytest.param(reply({"access_token": 1}), "not a token", id="no-text"),
        pytest.param(reply({}), "not a token", id="nothing"),
        pytest.param(reply(b"s3cret"), "not a token", id="granted-not-json"),
        pytest.param(reply(b" " * 70_000), "not a token", id="too-long"),
        pytest.param(reply({"access_token": "x", "expires_in": "soon"}), "not a token", id="odd-life"),
        pytest.param(reply({"access_token": "x", "expires_in": 0}), "none to be sent", id="no-life"),
        pytest.param(reply({"access_token": "a\r\nhost: b"}), "none to be sent", id="line-break"),
        pytest.param(reply({"access_token": "x", "token_type": "mac"}), "none to be sent", id="not-bearer"),
        pytest.param(b"nonsense\r\n\r\n", "could not be asked", id="not-http"),
    ],
)
def test_call_fails_without_showing_a_secret_when_no_token_is_granted(answer: bytes, words: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(closing_after(answer))
        message = await failure(entra(bench, upstream.port))
        assert words in message
        assert "127.0.0.1" in message

    run(scenario)


@pytest.mark.parametrize(
    "first", [closing_after(), closing_after(reply({}, b"503 Busy")), closing_after(reply({}, b"429 Slow"))]
)
def test_service_is_asked_once_more_when_it_stumbles(first: Any) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(first, answering(GRANTED))
        assert await opened(entra(bench, upstream.port)) == BEARER

    run(scenario)


@pytest.mark.parametrize("life", ["3599", 3599.0, None], ids=["text", "fraction", "unsaid"])
def test_token_is_taken_however_its_life_is_said(life: object) -> None:
    async def scenario(bench: Bench) -> None:
        grant = {"access_token": "minted", "token_type": "bearer"} | ({"expires_in": life} if life else {})
        upstream = await bench.upstream(answering(reply(grant)))
        opener = entra(bench, upstream.port)
        assert [await opened(opener), await opened(opener)] == [BEARER] * 2
        assert len(upstream.requests) == 1

    run(scenario)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: "nonsense s3cret", id="not-pem"),
        pytest.param(lambda: pem(ec.generate_private_key(ec.SECP256R1())), id="not-rsa"),
    ],
)
def test_call_fails_when_the_private_key_cannot_sign(key: Callable[[], str]) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(GRANTED))
        assert "private_key" in await failure(google(bench, upstream.port, private_key=key()))
        assert upstream.connections == 0

    run(scenario)


def test_services_are_asked_the_way_the_provider_is_reached() -> None:
    async def scenario(bench: Bench) -> None:
        proxy = await bench.upstream(closing_after(b"HTTP/1.1 403 Forbidden\r\n\r\n"))
        opener = EntraOpener(
            API,
            Secret('{"tenant_id": "t", "client_id": "c", "client_secret": "s3cret"}'),
            transport=bench.transport,
            clock=SystemClock(),
            egress=Egress(proxy=Origin("http", "127.0.0.1", proxy.port)),
        )
        assert "login.microsoftonline.com" in await failure(opener)
        assert proxy.requests[0].startswith(b"CONNECT login.microsoftonline.com:443 ")

    run(scenario)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": ""},
        {"tenant_id": "../common"},
        {"client_id": ""},
        {"client_secret": ""},
        {"authority": "http://login.example"},
        {"authority": "ftp://login.example"},
        {"authority": "https://me:s3cret@login.example"},
        {"authority": "https://[s3cret"},
        {"client_secret": 5},
    ],
)
def test_entra_client_is_refused_when_it_cannot_be_one(change: dict[str, Any]) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError) as caught:
            entra(bench, 1, **change)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None

    run(scenario)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "authorized_user"},
        {"client_email": ""},
        {"private_key": ""},
        {"private_key": 5},
        {"token_uri": "http://token.example/"},
    ],
)
def test_service_account_is_refused_when_it_cannot_be_one(change: dict[str, Any]) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError) as caught:
            google(bench, 1, **change)
        assert "PRIVATE" not in str(caught.value)

    run(scenario)


def test_openers_show_nothing_of_what_they_hold() -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(GRANTED))
        for opener in (entra(bench, upstream.port), google(bench, upstream.port)):
            await opened(opener)
            shown = f"{opener} {opener!r} {vars(opener)}"
            assert "api.example" in repr(opener)
            assert not [word for word in ("s3cret", "PRIVATE", "minted") if word in shown]

    run(scenario)
