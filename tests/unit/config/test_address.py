from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.config.address import (
    BaseUrl,
    Listen,
    is_private_looking,
    parse_base_url,
    parse_listen,
    parse_proxy,
)
from tollhouse.ports.transport import Origin


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080)),
        ("0.0.0.0:0", Listen("0.0.0.0", 0)),
        ("[::1]:65535", Listen("::1", 65535)),
        ("[2001:DB8::0]:1", Listen("2001:db8::", 1)),
        ("localhost:80", Listen("localhost", 80)),
    ],
)
def test_listen_is_host_and_port(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:",
        "::1:8080",
        "[::1]",
        "[::x]:1",
        "[fe80::1%eth0]:1",
        "1.2.3:1",
        "a:70000",
        "a b:1",
        "a:1:2",
        "http://a:1",
        "a:١",
        "a:-1",
        "-a:1",
        "[a:1",
        "a" * 300 + ":1",
    ],
)
def test_listen_is_refused_when_it_is_not_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"[A-Z].*\."):
        parse_listen(text)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "path"),
    [
        ("https://api.openai.com/v1", "https", "api.openai.com", 443, "/v1"),
        ("https://api.openai.com/v1/", "https", "api.openai.com", 443, "/v1"),
        ("HTTP://Example.COM", "http", "example.com", 80, ""),
        ("http://10.0.0.5:8000/v1", "http", "10.0.0.5", 8000, "/v1"),
        ("http://[::1]:8000/", "http", "::1", 8000, ""),
        ("https://h_1/a%20b/c", "https", "h_1", 443, "/a%20b/c"),
    ],
)
def test_base_url_is_taken_apart(text: str, scheme: str, host: str, port: int, path: str) -> None:
    assert parse_base_url(text) == BaseUrl(Origin(scheme, host, port), path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.openai.com",
        "ftp://x",
        "https://",
        "https:///v1",
        "https://u:p@h",
        "https://h?",
        "https://h/?a=b",
        "https://h#",
        "https://h/#f",
        "https://h?u@x",
        "https://h:0",
        "https://h:99999",
        "https://h/a b",
        "https://h/../x",
        "https://h/./x",
        "https://h\\x",
        "https://h/\\x",
        "https://ü.de",
        "https://[::1",
        "https://1.2",
        "https://h\n",
        "https://h/\r\n",
        " https://h",
        "https://[fe80::1%25eth0]/",
    ],
)
def test_base_url_is_refused_when_it_is_not_plain(text: str) -> None:
    with pytest.raises(ValueError, match=r"[A-Z].*\."):
        parse_base_url(text)


def test_proxy_is_an_origin() -> None:
    assert parse_proxy("http://Proxy.internal:3128") == Origin("http", "proxy.internal", 3128)
    assert parse_proxy("http://[::1]:3128/") == Origin("http", "::1", 3128)


@pytest.mark.parametrize(
    "text", ["https://p:1", "p:1", "http://p", "http://p:1/x", "http://u:s3cret@p:1", "http://p:0"]
)
def test_proxy_is_refused_when_it_is_more_or_less_than_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"[A-Z].*\.") as caught:
        parse_proxy(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "::1",
        "10.0.0.5",
        "192.168.1.1",
        "fd00::1",
        "vllm",
        "a.svc",
        "a.cluster.local",
        "x.lan",
    ],
)
def test_host_looks_private(host: str) -> None:
    assert is_private_looking(host)


@pytest.mark.parametrize("host", ["api.openai.com", "8.8.8.8", "2606:4700::1111", "notlocal.example.com"])
def test_host_looks_public(host: str) -> None:
    assert not is_private_looking(host)


@given(st.text() | st.from_regex(r"https?://[^/]{0,9}/?.{0,9}"))
def test_parsers_raise_nothing_but_value_error(text: str) -> None:
    for parse in (parse_listen, parse_base_url, parse_proxy):
        with suppress(ValueError):
            assert parse(text) is not None
