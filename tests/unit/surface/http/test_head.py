"""What the parser lets pass and HTTP forbids; the contract suite shows the same on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.surface.http.head import Malformed, check_head, split_target


@pytest.mark.parametrize(
    "host", [b"h", b"h:8080", b"h:", b"a.b-c.d_e", b"10.0.0.1", b"[::1]", b"[::1]:80", b"%C3%A9", b"xn--e-a"]
)
def test_host_names_one_host(host: bytes) -> None:
    check_head("1.1", {b"host": host})


@pytest.mark.parametrize(
    "host", [b"", b":80", b"h, h", b"h/", b"u@h", b"h h", b"[::1", b"::1", b"h:123456", b"h\xe9"]
)
def test_host_that_names_none_or_two_is_refused(host: bytes) -> None:
    with pytest.raises(Malformed, match="host header"):
        check_head("1.0", {b"host": host})


def test_host_may_be_missing_in_http_1_0_only() -> None:
    check_head("1.0", {})
    with pytest.raises(Malformed, match="no host"):
        check_head("1.1", {})


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(Malformed, match="not spoken here"):
        check_head(version, {b"host": b"h"})


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", {b"transfer-encoding": b"chunked", b"content-length": b"5"}),
        ("1.1", {b"transfer-encoding": b"gzip, chunked"}),
        ("1.1", {b"transfer-encoding": b""}),
        ("1.0", {b"transfer-encoding": b"chunked"}),
    ],
)
def test_framing_does_not_rest_on_the_parser_alone(version: str, headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Malformed, match="transfer-encoding"):
        check_head(version, {b"host": b"h", **headers})


@pytest.mark.parametrize(
    "name", [b"x_api_key", b"content_length", b"x-api_key", b"x_tollhouse_run", b"x_forwarded_for"]
)
def test_twin_of_a_trusted_name_is_refused(name: bytes) -> None:
    with pytest.raises(Malformed, match="underscore"):
        check_head("1.1", {b"host": b"h", name: b""})


def test_other_names_may_have_underscores() -> None:
    check_head("1.1", {b"host": b"h", b"my_header": b"", b"x-api-key": b""})


def test_asterisk_is_a_target_of_its_own() -> None:
    assert split_target(b"*") == ("*", "")


@given(st.binary(max_size=60))
def test_target_is_split_without_loss_or_refused(target: bytes) -> None:
    try:
        path, query = split_target(b"/" + target)
    except Malformed:
        assert any(not 0x21 <= byte <= 0x7E or byte == ord("#") for byte in target)
    else:
        assert path.startswith("/")
        assert "?" not in path
        assert (path + "?" + query if b"?" in target else path).encode() == b"/" + target
