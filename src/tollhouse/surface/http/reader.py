"""From bytes to requests, one at a time: what stands behind a request is not looked at before its turn.

llhttp alone decides what the bytes mean. But it reads all it is given, so it is given no more than up to the next
place where a request can end: an empty line, or the last byte of a body of known length. Whatever somebody sends
ahead stays bytes, and costs no more than bytes.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import httptools

from .bodies import BodyRoom
from .head import Malformed, check_head, split_target
from .limits import Limits
from .wire_request import WireRequest

_EMPTY_LINE: Final = b"\r\n\r\n"
_STEPS: Final = 512
"""In one go. A chunked body may hold an empty line every four bytes, and the loop has others to serve."""


Stage = Literal["between", "head", "body"]
"""What the reader stands in."""


class Host(Protocol):
    """Who is told of requests."""

    def begin(self, request: WireRequest) -> None:
        """A request's head has been read; its body follows into it."""

    def ask_for_body(self) -> None:
        """The body is wanted, and its sender waits to hear so."""


class Reader:
    """Reads one connection's requests. The `on_…` methods are the parser's."""

    __slots__ = (
        "_dry_bytes",
        "_headers",
        "_host",
        "_is_upgrade",
        "_left",
        "_limits",
        "_parser",
        "_peer",
        "_request",
        "_room",
        "_tail",
        "_target",
        "is_whole",
        "stage",
    )

    def __init__(self, limits: Limits, peer: str, host: Host, room: BodyRoom) -> None:
        self._limits = limits
        self._room = room
        self._peer = peer
        self._host = host
        self._parser = httptools.HttpRequestParser(self)
        self._request: WireRequest | None = None
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._is_upgrade = False
        self._left = 0
        """Bytes of a body of known length that have not come."""
        self._tail = b""
        """The last bytes given to the parser, in case they begin an empty line."""
        self._dry_bytes = 0
        """Given to the parser since it last had something to tell."""
        self.stage: Stage = "between"
        self.is_whole = False
        """Whether the last `feed` stopped because a request was whole."""

    def feed(self, data: bytes, at: int) -> int:
        """Read on from `at`; returns where it stopped: at the end of a request, of the bytes, or of its patience.

        Raises: Malformed; then nothing more may be fed.
        """
        self.is_whole = False
        for _ in range(_STEPS):
            end = self._end_of_step(data, at)
            dry_bytes = self._dry_bytes + end - at
            if dry_bytes > self._limits.head_bytes:
                self._check_dry()
            self._dry_bytes = dry_bytes
            at += self._parse(data[at:end])
            if self.is_whole or at == len(data):
                break
        return at

    def _check_dry(self) -> None:
        """More is about to be read than a head may have; in a body that is the rule, unless it held no content."""
        bound = self._limits.head_bytes
        if self.stage != "body":
            raise Malformed(f"its head is larger than {bound} bytes")
        if self._dry_bytes > bound:
            raise Malformed(f"its body holds {bound} bytes on end that are not content")

    def _end_of_step(self, data: bytes, at: int) -> int:
        if self._left:
            return min(len(data), at + self._left)
        if self._tail:
            tail, self._tail = self._tail, b""
            seam = (tail + data[at : at + 3]).find(_EMPTY_LINE)
            if seam >= 0:
                return at + seam + len(_EMPTY_LINE) - len(tail)
        else:
            tail = b""
        found = data.find(_EMPTY_LINE, at)
        if found >= 0:
            return found + len(_EMPTY_LINE)
        self._tail = (tail + data[max(at, len(data) - 3) :])[-3:]
        return len(data)

    def _parse(self, piece: bytes) -> int:
        """Returns how much was read: all but what follows the head of an upgrade."""
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            read: int = upgrade.args[0]
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise Malformed(f"the parser says {str(error)!r}") from error
        else:
            return len(piece)
        self._is_upgrade = False
        head = self._without_upgrade()
        self._parser = httptools.HttpRequestParser(self)
        self._parse(head)
        return read

    def _without_upgrade(self) -> bytes:
        """The head that was read, asking for no other protocol.

        A server may ignore an upgrade (RFC 9110, 7.8), and must: Java's own client asks for h2c with every request it
        posts. But the parser takes the body behind such a head for the other protocol.
        """
        lines = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._target, self._version())]
        headers = self._headers
        tokens = [token.strip() for token in headers.pop(b"connection").split(b",")]
        headers[b"connection"] = b", ".join(token for token in tokens if token.lower() != b"upgrade")
        lines += [name + b": " + value for name, value in headers.items() if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _version(self) -> bytes:
        version: str = self._parser.get_http_version()
        return version.encode("ascii")

    # -- the parser's calls

    def on_message_begin(self) -> None:
        self.stage = "head"
        self._target = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; or a trailer, which is thrown away with the dictionary it lands in."""
        name = name.lower()
        value = value.rstrip(b" \t")
        headers = self._headers
        headers[name] = value if name not in headers else headers[name] + b", " + value

    def on_headers_complete(self) -> None:
        parser = self._parser
        method = parser.get_method().decode("ascii")
        if method == "CONNECT":
            raise Malformed("CONNECT is for proxies, and this is none")
        if parser.should_upgrade():
            self._is_upgrade = True
            return
        version = parser.get_http_version()
        headers, self._headers = self._headers, {}
        if len(headers) > self._limits.head_count:
            raise Malformed(f"it has more than {self._limits.head_count} headers")
        check_head(version, headers)
        path, query = split_target(self._target)
        self.stage = "body"
        self._dry_bytes = 0
        self._left = int(headers.get(b"content-length", b"0"))
        self._request = WireRequest(
            method=method,
            path=path,
            query=query,
            version=version,
            keep_alive=parser.should_keep_alive(),
            headers=headers,
            peer=self._peer,
            body_bytes=self._limits.body_bytes,
            room=self._room,
            ask=self._host.ask_for_body,
        )
        self._host.begin(self._request)

    def on_body(self, piece: bytes) -> None:
        assert self._request is not None
        self._dry_bytes = 0
        if self._left:
            self._left -= len(piece)
        self._request.feed(piece)

    def on_message_complete(self) -> None:
        if self._is_upgrade:
            return
        assert self._request is not None
        self.stage = "between"
        self.is_whole = True
        self._dry_bytes = 0
        self._request.complete()
        self._request = None
