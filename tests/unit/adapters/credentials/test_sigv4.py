"""Signing, as far as it is not the pure signer's: what of a request is signed, and when."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest

from contract.transport.rig import Bench, Rig
from contract.transport.upstream import OK, answering
from tollhouse.adapters.credentials import SigV4Opener
from tollhouse.adapters.system import SystemClock
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Origin, UpstreamRequest
from tollhouse.testing import FakeClock
from tollhouse.wire.aws_sigv4 import sign

BEDROCK = Origin("https", "bedrock-runtime.eu-west-1.amazonaws.com", 443)
REQUEST = UpstreamRequest(
    method=b"POST",
    path=b"/model/a%3A0/converse?x=1",
    headers=(
        (b"host", b"bedrock-runtime.eu-west-1.amazonaws.com"),
        (b"content-type", b"application/json"),
        (b"accept", b"*/*"),
        (b"x-amzn-bedrock-trace", b"ENABLED"),
        (b"x-amz-meta", b"1"),
    ),
    body=b"{}",
)


def opener(
    secret: str = "AKIDEXAMPLE:s3cret/+=", clock: FakeClock | SystemClock | None = None
) -> SigV4Opener:
    return SigV4Opener(
        BEDROCK, Secret(secret), region="eu-west-1", service="bedrock", clock=clock or FakeClock()
    )


def headers(of: SigV4Opener, request: UpstreamRequest = REQUEST) -> dict[bytes, bytes]:
    return dict(asyncio.run(of.headers(request, 0.0)))


def test_host_type_and_amz_headers_are_signed_and_no_others() -> None:
    signed = headers(opener())
    assert set(signed) == {b"x-amz-date", b"authorization"}
    names = re.search(rb"SignedHeaders=([^,]+),", signed[b"authorization"])
    assert names is not None
    assert names[1] == b"content-type;host;x-amz-date;x-amz-meta"
    assert signed[b"x-amz-date"] == b"20260101T000000Z"
    assert b"AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request" in signed[b"authorization"]


def test_signature_is_the_signer_s_with_path_and_query_apart() -> None:
    expected = sign(
        "POST",
        "/model/a%3A0/converse",
        "x=1",
        [REQUEST.headers[0], REQUEST.headers[1], REQUEST.headers[4]],
        b"{}",
        region="eu-west-1",
        service="bedrock",
        access_key="AKIDEXAMPLE",
        secret_key="s3cret/+=",
        session_token="tok/en==",
        now_epoch_s=1_767_225_600,
    )
    signed = headers(opener("AKIDEXAMPLE:s3cret/+=:tok/en=="))
    assert signed == dict(expected)
    assert signed[b"x-amz-security-token"] == b"tok/en=="


def test_large_bodies_are_signed_the_same_off_the_loop() -> None:
    large = msgspec.structs.replace(REQUEST, body=b"x" * (1 << 20))
    smaller = msgspec.structs.replace(REQUEST, body=b"x" * ((1 << 20) - 1))
    signatures = {headers(opener(), request)[b"authorization"] for request in (large, large, smaller)}
    assert len(signatures) == 2


def test_each_request_has_the_time_of_its_own() -> None:
    clock = FakeClock()
    signing = opener(clock=clock)
    first = headers(signing)
    signing.refused()
    clock.advance(1)
    assert headers(signing)[b"x-amz-date"] == b"20260101T000001Z"
    assert headers(signing)[b"authorization"] != first[b"authorization"]


def test_host_that_is_signed_is_the_host_that_is_sent() -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        origin = Origin("http", "127.0.0.1", upstream.port)
        clock = FakeClock()
        signing = SigV4Opener(origin, Secret("AK:s3cret"), region="r", service="bedrock", clock=clock)
        await bench.call(
            bench.transport.bind(origin, signing), UpstreamRequest(method=b"POST", path=b"/a", body=b"{}")
        )
        lines = dict(
            line.split(b": ", 1) for line in upstream.requests[0].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        )
        expected = sign(
            "POST", "/a", "", [(b"host", lines[b"host"])], b"{}", region="r", service="bedrock",
            access_key="AK", secret_key="s3cret", session_token=None, now_epoch_s=int(clock.now()),
        )  # fmt: skip
        assert lines[b"authorization"] == dict(expected)[b"authorization"]

    Rig("http1-uvloop").run(scenario)


@pytest.mark.parametrize(
    "secret", [":", "AK:", ":s3cret", "AK:s3cret ", "AK:s3cret\n", "AK:s3crét", "AK:s3cret:t t"]
)
def test_credential_is_refused_when_it_is_not_of_the_form(secret: str) -> None:
    with pytest.raises(ValueError) as caught:
        opener(secret)
    assert "s3cr" not in str(caught.value)


def test_region_is_needed() -> None:
    with pytest.raises(ValueError, match="region"):
        SigV4Opener(BEDROCK, Secret("AK:s3cret"), region="", service="bedrock", clock=FakeClock())


def test_opener_shows_nothing_of_what_it_holds() -> None:
    signing = opener("AK:s3cret:t0ken")
    assert "AK" not in repr(signing)
    assert not [word for word in ("s3cret", "t0ken") if word in str(vars(signing))]


def test_everything_of_the_credential_is_kept_out_of_sight() -> None:
    assert opener("AKIDEXAMPLE:s3cret/+=:session").secrets() == ("AKIDEXAMPLE", "s3cret/+=", "session")
    assert opener().secrets() == ("AKIDEXAMPLE", "s3cret/+=")
