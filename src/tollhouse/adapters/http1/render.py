"""A request as bytes. What does not change between calls is rendered once, when the target is bound."""

from __future__ import annotations

import re
from typing import Final

from tollhouse.ports.credential import Opener
from tollhouse.ports.transport import Credential, Origin, UpstreamRequest

_METHOD = re.compile(rb"[A-Z]{1,16}").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_PATH = re.compile(rb"/[!\"$-~]*").fullmatch
_UNSAFE = re.compile(rb"[\r\n\x00]").search
_HOST = re.compile(
    r"(?:[0-9A-Za-z_-]{1,63}\.)*[0-9A-Za-z_-]{1,63}\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
).fullmatch
_OWN = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection"))
"""Headers the transport writes itself: given from outside, they would let a request be read in two ways."""
_BODILESS = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def authority(origin: Origin) -> str:
    """`host` or `host:port` as it stands in a URL. Raises: ValueError when the origin cannot be one."""
    if origin.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"The scheme {origin.scheme!r} is not one of http and https.")
    if not _HOST(origin.host):
        raise ValueError(
            f"{origin.host!r} is not a host name. International names must be given in their ASCII (xn--) form."
        )
    if not 0 < origin.port < 65_536:
        raise ValueError(f"{origin.port} is not a port.")
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _DEFAULT_PORTS[origin.scheme] else f"{host}:{origin.port}"


class Preamble:
    """The constant part of every request to one target: whom it is for and what opens the door."""

    __slots__ = ("_constant", "_last_headers", "_last_lines", "_path_prefix", "_refused")

    def __init__(self, host: str, credential: Credential | Opener | None, path_prefix: str) -> None:
        """`path_prefix` makes the absolute form a plain proxy wants; empty otherwise.

        Raises: ValueError when the credential cannot stand in a header; the message does not show it.
        """
        self._path_prefix = path_prefix.encode("ascii")
        self._refused = _OWN
        line = b""
        if isinstance(credential, Credential):
            line = _credential_line(credential)
            self._refused = _OWN | {credential.header}
        elif credential is not None:
            self._refused = _OWN | _opener_names(credential)
        self._last_headers: tuple[tuple[bytes, bytes], ...] = ()
        self._last_lines = b""
        self._constant = b" HTTP/1.1\r\nhost: " + host.encode("ascii") + b"\r\n" + line

    def __repr__(self) -> str:
        return "Preamble(***)"

    def head(self, request: UpstreamRequest) -> bytes:
        """Everything up to the body. Raises: ValueError when the request would not say what it seems to say."""
        method = request.method
        if not _METHOD(method) or method == b"CONNECT":
            raise ValueError(f"{method[:20]!r} is not a method that can be sent.")
        if not _PATH(request.path):
            raise ValueError("The path must begin with a slash and be percent-encoded, without a fragment.")
        if request.headers is not self._last_headers:  # most callers keep one tuple for all calls
            self._last_lines = self._lines(request.headers)
            self._last_headers = request.headers
        length = (
            b"content-length: %d\r\n" % len(request.body) if request.body or method not in _BODILESS else b""
        )
        return b"".join(
            (method, b" ", self._path_prefix, request.path, self._constant, self._last_lines, length, b"\r\n")
        )

    def _lines(self, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
        parts: list[bytes] = []
        for name, value in headers:
            if name in self._refused or not _NAME(name):
                raise ValueError(f"The header {name[:60]!r} cannot be set by a request.")
            if _UNSAFE(value):
                raise ValueError(f"The value of the header {name[:60]!r} holds a line break or a zero byte.")
            parts += (name, b": ", value, b"\r\n")
        return b"".join(parts)


def opening_lines(headers: tuple[tuple[bytes, bytes], ...], names: frozenset[bytes]) -> bytes:
    """What an opener adds to a head. Raises: ValueError for what it did not announce; the message shows no value."""
    lines = b""
    for name, value in headers:
        if name not in names or _UNSAFE(value):
            raise ValueError(f"The header {name[:60]!r} cannot open a request.")
        lines += name + b": " + value + b"\r\n"
    return lines


def _opener_names(opener: Opener) -> frozenset[bytes]:
    for name in opener.names:
        if name in _OWN or not _NAME(name):
            raise ValueError(f"{name[:60]!r} is not a header a credential can travel in.")
    return opener.names


def _credential_line(credential: Credential) -> bytes:
    name, value = credential.header, credential.value.reveal()
    if name in _OWN or not _NAME(name):
        raise ValueError(f"{name[:60]!r} is not a header a credential can travel in.")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"The credential for {credential.origin.host} holds a space at its end, a line break or a character "
            "that is not ASCII. Look at where it is stored."
        )
    return name + b": " + value.encode("ascii") + b"\r\n"
