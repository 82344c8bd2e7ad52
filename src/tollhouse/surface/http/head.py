"""What the parser lets pass and HTTP forbids, and what a request's target says.

llhttp, strict as it is, reads some heads that two readers could understand differently: those are refused here. What
is refused is never partly used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
"""RFC 9110, 7.2; without the comma, which would join two hosts."""
_ABSOLUTE: Final = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)

_TRUSTED: Final = frozenset(
    [
        b"authorization", b"connection", b"content-encoding", b"content-length", b"expect", b"forwarded", b"host",
        b"transfer-encoding", b"via", b"x-api-key", b"x-client-cert", b"x-goog-api-key", b"x-real-ip",
    ]
)  # fmt: skip
_TRUSTED_PREFIXES: Final = (b"x-tollhouse-", b"x-forwarded-")
"""Headers that decide something here or in front of us. Some software reads `_` in a name as `-`."""


class Malformed(Exception):
    """What came cannot be taken for a request; the text ends the sentence `This is not a valid HTTP request: …`."""


def check_head(version: str, headers: Mapping[bytes, bytes]) -> None:
    """Raises: Malformed where the head could be understood in two ways."""
    if version not in ("1.1", "1.0"):
        raise Malformed(f"HTTP/{version} is not spoken here, only HTTP/1.1 and HTTP/1.0")
    host = headers.get(b"host")
    if host is None:
        if version == "1.1":
            raise Malformed("it has no host header")
    elif not _HOST.fullmatch(host):
        raise Malformed("its host header does not name one host")
    if b"transfer-encoding" in headers:
        _check_transfer_encoding(version, headers)
    if b"_" in b"".join(headers):
        _check_underscores(headers)


def _check_transfer_encoding(version: str, headers: Mapping[bytes, bytes]) -> None:
    if version == "1.0":
        raise Malformed("HTTP/1.0 knows no transfer-encoding")
    if b"content-length" in headers:
        raise Malformed("it has both a content-length and a transfer-encoding")
    if headers[b"transfer-encoding"].lower() != b"chunked":
        raise Malformed("its transfer-encoding is not `chunked` and nothing else")


def _check_underscores(headers: Mapping[bytes, bytes]) -> None:
    for name in headers:
        twin = name.replace(b"_", b"-")
        if twin != name and (twin in _TRUSTED or twin.startswith(_TRUSTED_PREFIXES)):
            raise Malformed(
                f"its header {name[:60].decode('ascii', 'replace')!r} is spelled with an underscore"
            )


def split_target(target: bytes) -> tuple[str, str]:
    """Path and query of a request's target, as sent. Raises: Malformed."""
    text = target.decode("latin-1")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Malformed("its target has characters that must be percent-encoded")
    if "#" in text:
        raise Malformed("its target has a fragment, which is the sender's own business")
    if not text.startswith("/"):
        text = _within_host(text)
    path, _, query = text.partition("?")
    return path, query


def _within_host(target: str) -> str:
    """What an absolute URL, as sent to proxies, asks of this host; `*` is for OPTIONS and stays."""
    if target == "*":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not _HOST.fullmatch(absolute[1].encode("ascii")):
        raise Malformed("its target is neither a path nor an http URL")
    rest = absolute[2]
    return rest if rest.startswith("/") else "/" + rest
