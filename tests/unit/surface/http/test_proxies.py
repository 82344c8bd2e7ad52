"""Proxies that are believed, and everybody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.networks import Networks
from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.proxies import TrustedProxies
from tollhouse.surface.http.wire_request import WireRequest

PROXIES = TrustedProxies(Networks(["10.0.0.0/8", "fd00::/8"]), b"x-client-cert")


def received(peer: str, **headers: str) -> WireRequest:
    request = WireRequest(
        method="GET",
        path="/",
        query="",
        version="1.1",
        keep_alive=True,
        headers={name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()},
        peer=peer,
        body_bytes=1,
        room=BodyRoom(1),
        ask=lambda: None,
    )
    PROXIES.receive(request)
    return request


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1,203.0.113.9,10.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9, 10.8.8.8", "10.9.9.9"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "127.0.0.1, _hidden", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, 10.2.3.4, ' or 1=1", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
        ("203.0.113.1", "127.0.0.1", "203.0.113.1"),
        ("203.0.113.1", "10.0.0.1", "203.0.113.1"),
        ("", "10.0.0.1", ""),
    ],
)
def test_caller_is_the_last_address_that_no_trusted_proxy_has(peer: str, forwarded: str, caller: str) -> None:
    assert received(peer, x_forwarded_for=forwarded).peer == caller


def test_caller_without_the_header_is_the_connection() -> None:
    assert received("10.0.0.1").peer == "10.0.0.1"


def test_very_many_hops_are_not_all_read() -> None:
    hops = ", ".join(["203.0.113.9", *["10.0.0.1"] * 10_000])
    assert received("10.0.0.1", x_forwarded_for=hops).peer == "10.0.0.1"


@given(st.text(alphabet="0123456789.,:[] abcdef", max_size=80))
def test_whatever_stands_there_before_the_last_hop_changes_nothing(text: str) -> None:
    assert received("10.0.0.1", x_forwarded_for=f"{text}, 203.0.113.9").peer == "203.0.113.9"
    assert received("203.0.113.1", x_forwarded_for=text).peer == "203.0.113.1"


def test_certificate_is_believed_from_trusted_proxies_and_taken_away_from_all() -> None:
    assert received("10.0.0.1", x_client_cert="told").certificate == b"told"
    for peer in ("203.0.113.1", "127.0.0.1", "", "unix"):
        request = received(peer, x_client_cert="told", x_forwarded_for="10.0.0.1")
        assert request.certificate == b""
        assert b"x-client-cert" not in request.headers
