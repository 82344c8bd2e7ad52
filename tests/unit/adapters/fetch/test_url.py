"""How URLs are read."""

from __future__ import annotations

import pytest

from tollhouse.adapters.fetch.url import decode_data_url, read_url, redirected
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.ports.transport import Origin


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://a.example/p.png", Origin("https", "a.example", 443), b"/p.png"),
        ("HTTP://A.Example:8080", Origin("http", "a.example", 8080), b"/"),
        (
            "https://a.example/x%20y?sig=a%2Bb&c=d#part",
            Origin("https", "a.example", 443),
            b"/x%20y?sig=a%2Bb&c=d",
        ),
        ("https://a.example/ä.png", Origin("https", "a.example", 443), b"/%C3%A4.png"),
        ("https://bücher.example/", Origin("https", "xn--bcher-kva.example", 443), b"/"),
        ("http://[2001:db8::1]:81/", Origin("http", "2001:db8::1", 81), b"/"),
        ("https://a.example?x=<>", Origin("https", "a.example", 443), b"/?x=%3C%3E"),
    ],
)
def test_url_is_read_as_where_and_what(url: str, origin: Origin, path: bytes) -> None:
    place = read_url(url)
    assert (place.origin, place.path) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "gopher://a.example/",
        "ftp://a.example/",
        "//a.example/",
        "https://",
        "https:///path",
        "https://user:secret@a.example/",
        "https://user@a.example/",
        "https://a.example:99999/",
        "https://a.example:x/",
        "https://[::1/",
        "https://a.example/\ud83d",
        "https://a.example/\r\nhost: b",
        " https://a.example/",
        "https://a.exam\tple/",
        "https://a.example/" + "x" * 9_000,
        "https://" + "ä" * 300 + ".example/",
    ],
)
def test_url_is_refused_when_it_is_not_plainly_one(url: str) -> None:
    with pytest.raises(GatewayError) as caught:
        read_url(url)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.hint
    assert "secret" not in caught.value.message


def test_redirects_are_relative_to_where_they_come_from() -> None:
    place = read_url("https://a.example/one/two?x=1")
    assert redirected(place, "three").path == b"/one/three"
    assert redirected(place, "//b.example/").origin.host == "b.example"
    for nowhere in ("", "data:image/png;base64,AAAA", "file:///etc/passwd", "http://[::1"):
        with pytest.raises(GatewayError):
            redirected(place, nowhere)


@pytest.mark.parametrize(
    ("url", "media_type", "body"),
    [
        ("data:image/png;base64,iVBORw0K", "image/png", b"\x89PNG\r\n"),
        ("DATA:image/png;base64,iVBORw0K", "image/png", b"\x89PNG\r\n"),
        ("data:image/png;base64,aGk", "image/png", b"hi"),
        ("data:image/png;base64,aGk%3D", "image/png", b"hi"),
        ("data:text/plain;charset=utf-8,a%20b", "text/plain", b"a b"),
        ("data:,plain", "text/plain", b"plain"),
        ("data:application/pdf;base64,", "application/pdf", b""),
    ],
)
def test_data_url_is_decoded(url: str, media_type: str, body: bytes) -> None:
    fetched = decode_data_url(url, 100)
    assert (fetched.media_type, fetched.body) == (media_type, body)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64",
        "data:image/png;base64,a*b=",
        "data:image/png;base64,a",
        "data:text/html,<b>",
        "data:image/png;base64," + "A" * 140,
        "data:text/plain," + "a" * 101,
        "data:text/plain," + "a" * 9_999,
        "data:image/png;base64,ä",
    ],
)
def test_data_url_is_refused_when_it_is_broken_or_large_or_of_another_type(url: str) -> None:
    with pytest.raises(GatewayError) as caught:
        decode_data_url(url, 100)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
