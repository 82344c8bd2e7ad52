"""AWS signatures, against vectors made with botocore's signer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.wire.aws_sigv4 import Header, canonical_path, canonical_query, sign, timestamp

HOST = (b"host", b"bedrock-runtime.us-east-1.amazonaws.com")
JSON = (b"content-type", b"application/json")
NOW = 1_440_938_160


def signed(
    path: str,
    query: str = "",
    body: bytes = b"",
    *,
    token: str | None = None,
    headers: tuple[Header, ...] = (HOST, JSON),
    sends_body_hash: bool = False,
) -> dict[bytes, bytes]:
    return dict(
        sign(
            "POST", path, query, headers, body,
            region="us-east-1", service="bedrock", access_key="AKIDEXAMPLE",
            secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token=token, now_epoch_s=NOW,
            sends_body_hash=sends_body_hash,
        )
    )  # fmt: skip


def signature(headers: dict[bytes, bytes]) -> str:
    return headers[b"authorization"].decode().rpartition("Signature=")[2]


def test_request_is_signed_as_the_official_signer_signs_it() -> None:
    headers = signed("/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse", body=b'{"messages":[]}')
    assert headers == {
        b"x-amz-date": b"20150830T123600Z",
        b"authorization": b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, "
        b"SignedHeaders=content-type;host;x-amz-date, "
        b"Signature=dba7f2f77cc33808be655f27b8ebf1d1b1d77751fc96dad0bd71e020cb07c442",
    }


def test_session_token_query_and_encoded_slashes_are_signed() -> None:
    path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3Ainference-profile%2Fus.x-v1%3A0/converse-stream"
    headers = signed(path, "b=2&a=1", token="TOKEN")
    assert headers[b"x-amz-security-token"] == b"TOKEN"
    assert b"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token," in headers[b"authorization"]
    assert signature(headers) == "7df38fbba90a57f90699630e203b3a01cdc7806511be4abde8cf89f9b3826b89"


def test_root_without_a_body_is_signed() -> None:
    assert signature(signed("/")) == "a2d4502bc78b646b909d1777afa3152bc0c6b44c4cfc9dadec45435c23427d25"


def test_hash_of_the_body_goes_out_signed_where_it_is_wanted() -> None:
    headers = signed("/", body=b"x", sends_body_hash=True)
    assert (
        headers[b"x-amz-content-sha256"]
        == b"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    )
    assert b"host;x-amz-content-sha256;x-amz-date" in headers[b"authorization"]


def test_headers_that_change_on_the_way_are_not_signed() -> None:
    noisy = (HOST, JSON, (b"user-agent", b"x"), (b"x-amzn-trace-id", b"y"), (b"authorization", b"Bearer z"))
    assert signed("/", headers=noisy) == signed("/")


def test_order_and_spaces_of_headers_play_no_part() -> None:
    assert signed("/", headers=((b"content-type", b"  application/json "), HOST)) == signed("/")


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("", "/"),
        ("/", "/"),
        ("/model/a%3A0/converse", "/model/a%253A0/converse"),
        ("/model/a:0/converse", "/model/a%3A0/converse"),
        ("/a//b/./c/../d/", "/a/b/d/"),
        ("/..", "/"),
        ("/~x_y-z.", "/~x_y-z."),
    ],
)
def test_path_is_freed_of_dots_and_encoded_once_more(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


def test_query_is_sorted_by_name_and_value() -> None:
    assert canonical_query("b=1&a=2&a=1&c") == "a=1&a=2&b=1&c="
    assert canonical_query("") == ""


@given(st.integers(0, 253_402_300_799))
def test_time_is_written_as_the_calendar_has_it(epoch_s: int) -> None:
    assert timestamp(epoch_s) == datetime.fromtimestamp(epoch_s, UTC).strftime("%Y%m%dT%H%M%SZ").rjust(
        16, "0"
    )
