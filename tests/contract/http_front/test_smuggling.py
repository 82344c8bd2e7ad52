"""No bytes are read as a second request that their sender could have meant as something else.

Every head here could be understood in two ways by two readers in a row. Behind each stands a request that only a
desynchronised reader would see; it must never reach the door, nor must the ambiguous one.
"""

from __future__ import annotations

import pytest

from contract.http_front.front import CHUNKED_HEAD, GET, Run, chunked, front, get, post
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest

HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: h\r\n\r\n"


def head(*lines: str, start: str = "POST /p HTTP/1.1") -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


AMBIGUOUS = {
    "length and chunked": head("host: h", "content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\n",
    "chunked and length": head("host: h", "transfer-encoding: chunked", "content-length: 5") + b"0\r\n\r\n",
    "length zero and chunked": head("host: h", "content-length: 0", "transfer-encoding: chunked")
    + b"0\r\n\r\n",
    "two lengths that differ": head("host: h", "content-length: 5", "content-length: 0") + b"hello",
    "two lengths alike": head("host: h", "content-length: 5", "content-length: 5") + b"hello",
    "list of lengths": head("host: h", "content-length: 5, 5") + b"hello",
    "positive length": head("host: h", "content-length: +5") + b"hello",
    "negative length": head("host: h", "content-length: -5") + b"hello",
    "hexadecimal length": head("host: h", "content-length: 0x5") + b"hello",
    "fractional length": head("host: h", "content-length: 5.0") + b"hello",
    "length of two words": head("host: h", "content-length: 5 0") + b"hello",
    "empty length": head("host: h", "content-length:") + b"hello",
    "length beyond 64 bits": head("host: h", "content-length: 18446744073709551621") + b"hello",
    "length in other digits": head("host: h", "content-length: ٥".encode().decode("latin-1")) + b"hello",
    "length with underscore": head("host: h", "content_length: 5") + b"hello",
    "encoding with underscore": head("host: h", "transfer_encoding: chunked") + b"0\r\n\r\n",
    "identity": head("host: h", "transfer-encoding: identity") + b"0\r\n\r\n",
    "identity and length": head("host: h", "transfer-encoding: identity", "content-length: 5") + b"hello",
    "chunked, identity": head("host: h", "transfer-encoding: chunked, identity") + b"0\r\n\r\n",
    "identity, chunked": head("host: h", "transfer-encoding: identity, chunked") + b"0\r\n\r\n",
    "gzip, chunked": head("host: h", "transfer-encoding: gzip, chunked") + b"0\r\n\r\n",
    "chunked twice": head("host: h", "transfer-encoding: chunked, chunked") + b"0\r\n\r\n",
    "two encodings": head("host: h", "transfer-encoding: chunked", "transfer-encoding: x") + b"0\r\n\r\n",
    "two encodings, chunked last": head("host: h", "transfer-encoding: x", "transfer-encoding: chunked")
    + b"0\r\n\r\n",
    "xchunked": head("host: h", "transfer-encoding: xchunked") + b"0\r\n\r\n",
    "chunkedx": head("host: h", "transfer-encoding: chunkedx") + b"0\r\n\r\n",
    "chunked in quotes": head("host: h", 'transfer-encoding: "chunked"') + b"0\r\n\r\n",
    "chunked with parameter": head("host: h", "transfer-encoding: chunked;q=1") + b"0\r\n\r\n",
    "chunked behind vertical tab": head("host: h", "transfer-encoding: \x0bchunked") + b"0\r\n\r\n",
    "chunked behind form feed": head("host: h", "transfer-encoding: \x0cchunked") + b"0\r\n\r\n",
    "chunked behind no-break space": head("host: h", "transfer-encoding: \xa0chunked") + b"0\r\n\r\n",
    "empty encoding": head("host: h", "transfer-encoding:") + b"0\r\n\r\n",
    "encoding in HTTP/1.0": head("host: h", "transfer-encoding: chunked", start="POST /p HTTP/1.0")
    + b"0\r\n\r\n",
    "space before colon": head("host: h", "transfer-encoding : chunked") + b"0\r\n\r\n",
    "tab before colon": head("host: h", "content-length\t: 5") + b"hello",
    "space before name": b"POST /p HTTP/1.1\r\n host: h\r\n\r\n",
    "folded value": head("host: h", "transfer-encoding:", " chunked") + b"0\r\n\r\n",
    "folded value, tab": head("host: h", "x: y", "\tz") + b"0\r\n\r\n",
    "line without colon": head("host: h", "transfer-encoding chunked") + b"0\r\n\r\n",
    "header without name": head("host: h", ": x"),
    "bare LF after the request line": b"POST /p HTTP/1.1\nhost: h\r\n\r\n",
    "bare LF after a header": b"POST /p HTTP/1.1\r\nhost: h\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF as empty line": b"POST /p HTTP/1.1\r\nhost: h\r\n\n",
    "bare LFs all over": b"POST /p HTTP/1.1\nhost: h\n\n",
    "bare CR in a value": head("host: h", "x: y\rtransfer-encoding: chunked") + b"0\r\n\r\n",
    "NUL in a value": head("host: h", "x: y\0z"),
    "NUL in a name": head("host: h", "x\0y: z"),
    "control byte in a value": head("host: h", "x: y\x01z"),
    "DEL in a value": head("host: h", "x: y\x7fz"),
    "latin letter in a name": head("host: h", "x\xe9: z"),
    "parenthesis in a name": head("host: h", "x(: z"),
    "key with underscore": head("host: h", "x_api_key: k"),
    "mixed twin of a key": head("host: h", "X-Api_Key: k"),
    "forwarded with underscore": head("host: h", "x_forwarded_for: 127.0.0.1"),
    "own header with underscore": head("host: h", "x_tollhouse_tags: a"),
    "no host": head("x: y"),
    "two hosts": head("host: h", "host: g"),
    "two hosts alike": head("host: h", "host: h"),
    "empty host": head("host:"),
    "host with path": head("host: h/p"),
    "host with user": head("host: u@h"),
    "host with space": head("host: h g"),
    "host with comma": head("host: h,g"),
    "host with bad port": head("host: h:80x"),
    "host with two ports": head("host: h:80:81"),
    "host with open bracket": head("host: [::1"),
    "host with letters beyond ASCII": head("host: h\xe9"),
    "fragment in target": head("host: h", start="GET /p#q HTTP/1.1"),
    "space in target": head("host: h", start="GET /p q HTTP/1.1"),
    "tab in target": head("host: h", start="GET /p\tq HTTP/1.1"),
    "NUL in target": head("host: h", start="GET /p\0q HTTP/1.1"),
    "latin letter in target": head("host: h", start="GET /p\xe9 HTTP/1.1"),
    "latin letter in query": head("host: h", start="GET /p?\xe9 HTTP/1.1"),
    "relative target": head("host: h", start="GET p HTTP/1.1"),
    "foreign scheme": head("host: h", start="GET ftp://h/p HTTP/1.1"),
    "absolute target without host": head("host: h", start="GET http:///p HTTP/1.1"),
    "absolute target with user": head("host: h", start="GET http://u@h/p HTTP/1.1"),
    "authority as target": head("host: h", start="CONNECT h:443 HTTP/1.1"),
    "no target": head("host: h", start="GET HTTP/1.1"),
    "HTTP/0.9": b"GET /p\r\n\r\n",
    "HTTP/0.9 by name": head("host: h", start="GET /p HTTP/0.9"),
    "HTTP/1.2": head("host: h", start="GET /p HTTP/1.2"),
    "HTTP/2.0": head("host: h", start="GET /p HTTP/2.0"),
    "HTTP/11.1": head("host: h", start="GET /p HTTP/11.1"),
    "http/1.1": head("host: h", start="GET /p http/1.1"),
    "space behind the version": head("host: h", start="GET /p HTTP/1.1 "),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method in lower case": head("host: h", start="get /p HTTP/1.1"),
    "unknown method": head("host: h", start="FETCH /p HTTP/1.1"),
    "space before the method": head("host: h", start=" GET /p HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "upgrade of an ambiguous request": head(
        "host: h",
        "connection: upgrade",
        "upgrade: h2c",
        "transfer-encoding: gzip, chunked",
    )
    + b"0\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
@pytest.mark.parametrize("behind", [False, True], ids=["first", "behind a good one"])
def test_ambiguous_head_is_refused_and_never_served(run: Run, name: str, behind: bool) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say((get("/good") if behind else b"") + AMBIGUOUS[name] + HIDDEN)
            if behind:
                assert (await caller.answer()).body == b"/good"
            answer = await caller.answer()
            assert answer.status == 400
            assert answer.headers["connection"] == "close"
            assert answer.error["code"] == "invalid_request"
            assert answer.error["message"].startswith("This is not a valid HTTP request: ")
            assert await caller.rest() == b""
            assert [seen.path for seen in here.door.seen] == (["/good"] if behind else [])
            assert len(here.door.refused) == 1

    run(check())


BROKEN_BODIES = {
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size with plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size with minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size with space behind": b"5 \r\nhello\r\n0\r\n\r\n",
    "size with space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "size with underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "no size but an extension": b";x\r\nhello\r\n0\r\n\r\n",
    "size of 64 bits and more": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size of many digits": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "chunk without its end": b"5\r\nhello0\r\n\r\n",
    "bare LF after a size": b"5\nhello\r\n0\r\n\r\n",
    "bare LF after a chunk": b"5\r\nhello\n0\r\n\r\n",
    "bare LF in an extension": b"5;x\nhello\r\n0\r\n\r\n",
    "line break in a quoted extension": b'5;x="a\r\nb"\r\nhello\r\n0\r\n\r\n',
    "bare LF after the last size": b"5\r\nhello\r\n0\n\r\n",
    "bare LF as the end": b"5\r\nhello\r\n0\r\n\n",
    "bare CR after a size": b"5\rhello\r\n0\r\n\r\n",
    "trailer with space before colon": b"5\r\nhello\r\n0\r\nx : y\r\n\r\n",
    "folded trailer": b"5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n",
    "length as trailer": b"5\r\nhello\r\n0\r\ncontent-length: 5\r\n\r\n",
    "encoding as trailer": b"5\r\nhello\r\n0\r\ntransfer-encoding: identity\r\n\r\n",
    "NUL in a trailer": b"5\r\nhello\r\n0\r\nx: \0\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one packet", "byte by byte"])
def test_body_with_broken_chunks_is_refused_and_ends_the_connection(
    run: Run, name: str, at_once: bool
) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            stream = CHUNKED_HEAD + BROKEN_BODIES[name] + HIDDEN
            pieces = [stream] if at_once else [bytes([byte]) for byte in stream]
            for piece in pieces:
                if not await caller.try_to_say(piece):
                    break
            answer = await caller.answer()
            assert answer.status == 400
            assert answer.error["code"] == "invalid_request"
            assert answer.headers["connection"] == "close"
            assert await caller.is_closed()
            assert [(seen.path, seen.end) for seen in here.door.seen] == [("/c", "refused")]

    run(check())


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (post(b"hello").replace(b"length: 5", b"length: 0000000005"), b"hello"),
        (
            chunked(b"hello").replace(b"5\r\n", b"00000005\r\n").replace(b"0\r\n\r\n", b"000\r\n\r\n"),
            b"hello",
        ),
        (b"GET /p HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
        (b"\r\n\r\n" + post(b"hello"), b"hello"),
    ],
    ids=["leading zeros", "leading zeros in chunks", "GET with a body", "empty lines first"],
)
def test_unusual_but_clear_request_is_understood_as_http_says(
    run: Run, request_bytes: bytes, body: bytes
) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(request_bytes + get("/next"))
            assert (await caller.answer()).body == body
            assert (await caller.answer()).body == b"/next"
            assert len(here.door.seen) == 2

    run(check())


def test_length_of_zero_on_get_hides_no_request_in_its_body(run: Run) -> None:
    """The 0-CL desync: what stands behind is a request of its own for everybody."""

    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(b"GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n" + GET)
            assert (await caller.answer()).status == 200
            assert (await caller.answer()).status == 200
            assert [seen.body for seen in here.door.seen] == [b"", b""]

    run(check())


@pytest.mark.parametrize("value", ["x_custom: 1", "x-custom_id: 1", "_: 1"])
def test_underscore_is_let_pass_in_names_that_decide_nothing(run: Run, value: str) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(get("/", value))
            assert (await caller.answer()).status == 200

    run(check())


@pytest.mark.parametrize(
    "headers", [[(b"x", b"a\r\nset-cookie: b")], [(b"x", b"a\nb")], [(b"x\r", b"")], [(b"x", b"\0")]]
)
@pytest.mark.parametrize("streams", [False, True])
def test_answer_is_not_split_by_what_stands_in_its_headers(
    run: Run, headers: list[tuple[bytes, bytes]], streams: bool
) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        try:
            reply.start(200, headers) if streams else reply.send(200, headers, b"")
        except ValueError:
            assert not reply.is_started
            reply.send(500, [], b"said otherwise")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(GET)
            assert (await caller.answer()).body == b"said otherwise"
            assert await caller.hears_nothing()

    run(check())
