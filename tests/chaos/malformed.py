"""Requests that are none: written by hand, drawn by hypothesis, and bred from both and from good ones by a seed.

Each of the hand-written ones breaks one rule of RFC 9110, 9112 or 6455 and would be a good call without that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.caller import CHAT, question


def written(key: str) -> Iterator[bytes]:
    """Heads with one fault each, before a body that would be answered."""
    body = question("gpt")
    good = [
        f"POST {CHAT} HTTP/1.1", "host: house", f"authorization: Bearer {key}", f"content-length: {len(body)}",
    ]  # fmt: skip

    def send(*lines: str, seam: str = "\r\n") -> bytes:
        return seam.join([*lines, "", ""]).encode("latin-1") + body

    first, host, credential, length = good
    for line in (
        f"POST {CHAT}", f"POST {CHAT} HTTP/2.0", f"POST {CHAT} HTTP/0.9", f"POST {CHAT} HTTP/1.2",
        f"POST {CHAT} HTTP/1", f"POST {CHAT} http/1.1", f"POST {CHAT} HTTP/1.1 x", f"POST\t{CHAT} HTTP/1.1",
        f"PO ST {CHAT} HTTP/1.1", f"P(ST {CHAT} HTTP/1.1", f"post {CHAT} HTTP/1.1", f" POST {CHAT} HTTP/1.1",
        f"POST {CHAT}#x HTTP/1.1", f"POST {CHAT}\x00 HTTP/1.1", f"POST {CHAT}\xff HTTP/1.1", "POST v1/chat HTTP/1.1",
        f"POST ftp://house{CHAT} HTTP/1.1", f"POST http://a@b{CHAT} HTTP/1.1", f"POST http://{CHAT} HTTP/1.1",
        f"CONNECT {CHAT} HTTP/1.1", "CONNECT house:80 HTTP/1.1", f"PRI {CHAT} HTTP/2.0", "POST * HTTP/1.1",
        f"POST {CHAT}/../completions HTTP/1.1", f"POST /{CHAT} HTTP/1.1", f"POST {CHAT}%00 HTTP/1.1",
    ):  # fmt: skip
        yield send(line, host, credential, length)
    for line in (
        "x: a\x00b", "x\x00y: a", "x y: a", "x : a", " x: a", "x", ": a", "x: a\rb", "x: a\nb", "x\xff: a",
        "x(y): a", "transfer-encoding: chunked", "Transfer-Encoding : chunked", "transfer-encoding: xchunked",
        "transfer-encoding:\x0bchunked", "transfer-encoding: identity", "transfer_encoding: chunked",
        "content_length: 5", "content-length: 5", "content-length: +5", "host: other", "host: a b", "x-api_key: k",
        "authorization_: x\r\n\tfolded: y\x01", "x: \x7f", "x_forwarded_for: 1", "X-Tollhouse_Priority: batch",
    ):  # fmt: skip
        yield send(first, host, credential, length, line)
    yield send(first, credential, length)
    yield send(first, "host:", credential, length)
    yield send(first, "host: a, b", credential, length)
    yield send(first, host, host, credential, length)
    yield send(first, host, credential, length, seam="\n")
    yield send(first, host, credential, length, seam="\r")
    yield send(first, host, credential, length, seam="\r\r\n")
    yield send(first, host, credential, length, " folded: value")
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50)
    yield b"\x05\x01\x00"
    yield b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + send(*good)
    yield b"\xef\xbb\xbf" + send(*good)
    yield b"EHLO house\r\nMAIL FROM:<a@b>\r\n\r\n"
    yield b"\x00" * 1_000
    yield b"\r\n" * 5_000 + b"x\r\n\r\n"


_WORD = st.one_of(st.binary(max_size=12), st.text("abz09-_ :;,\t\r\n", max_size=12).map(str.encode))
_METHOD = st.one_of(
    st.sampled_from([b"POST", b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"M-SEARCH"]), _WORD
)
_TARGET = st.one_of(
    st.sampled_from([CHAT.encode(), b"/", b"*", b"//", b"/%00", b"http://h/v1/models"]), _WORD
)
_VERSION = st.one_of(st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 "]), _WORD)
_NAMES = (
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"upgrade",
    b"expect",
    b"te",
    b"authorization",
)
_VALUES = b"h", b"0", b"5", b"-1", b"chunked", b"close", b"keep-alive, upgrade", b"h2c", b"100-continue", b""
_HEADER = st.tuples(
    st.one_of(st.sampled_from(_NAMES), _WORD),
    st.sampled_from([b":", b": ", b" :", b":\t", b""]),
    st.one_of(st.sampled_from(_VALUES), _WORD),
).map(b"".join)
_SEAM = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"\r\r\n"])
_BODY = st.one_of(
    st.just(b""), st.binary(max_size=60), st.just(b"5\r\nhello\r\n0\r\n\r\n"), st.just(b"0\r\n\r\n")
)
_DRAWN = st.builds(
    lambda method, target, version, headers, seam, body: (
        seam.join([b" ".join([method, target, version]), *headers, b"", b""]) + body
    ),
    _METHOD, _TARGET, _VERSION, st.lists(_HEADER, max_size=8), _SEAM, _BODY,
)  # fmt: skip


def drawn(count: int) -> list[bytes]:
    """As many as that, by HTTP's grammar and beside it; the same in each run. They carry no key."""
    found: list[bytes] = []

    @settings(max_examples=count, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(_DRAWN)
    def collect(one: bytes) -> None:
        found.append(one)

    collect()
    return found


def bred(key: str, seed: int) -> bytes:
    """One of the hand-written ones with other bytes added, taken away, doubled or exchanged. It asks for a route there
    is not, so that none of them may come upstream however well it turns out."""
    draw = random.Random(seed)
    parents = _parents(key)
    taken = bytearray(draw.choice(parents))
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = draw.randrange(len(taken) + 1)
        match draw.randrange(6):
            case 0:
                taken[at:at] = bytes([draw.randrange(256)])
            case 1:
                del taken[at : at + draw.choice((1, 1, 2, 20))]
            case 2 if at < len(taken):
                taken[at] ^= 1 << draw.randrange(8)
            case 3:
                taken[at:at] = draw.choice(_WORDS)
            case 4:
                other = draw.choice(parents)
                taken[at:] = other[draw.randrange(len(other)) :]
            case _:
                taken[at:at] = taken[at : at + draw.choice((1, 10, 100))] * draw.choice((1, 2, 50))
    return bytes(taken).replace(b'"gpt"', b'"gpX"')


_WORDS = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\0", b":", b" ", b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 99999999999999999999\r\n", b"HTTP/1.1",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"Expect: 100-continue\r\n", b"\xff\xfe", b"GET / HTTP/1.1\r\n", b";" * 200, b"A" * 5_000,
)  # fmt: skip
_KEPT: dict[str, list[bytes]] = {}


def _parents(key: str) -> list[bytes]:
    if key not in _KEPT:
        body = question("gpX")
        head = f"POST {CHAT} HTTP/1.1\r\nhost: house\r\nauthorization: Bearer {key}\r\n".encode()
        length = b"content-length: %d\r\n\r\n" % len(body)
        chunks = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        _KEPT[key] = [*written(key), head + length + body, head + chunks]
    return _KEPT[key]
