"""Addresses as people write them in the configuration: where to listen, where a provider lives, which proxy to ask.

The messages of the errors never repeat what was written, because people paste passwords into URLs.
"""

from __future__ import annotations

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

import msgspec

from tollhouse.ports.transport import Origin

_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(https?)://([^/]*)(/[!-~]*)?", re.IGNORECASE)
_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_PRIVATE_NAMES: Final = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")


class Listen(msgspec.Struct, frozen=True):
    """Where to listen. `host` has no brackets; port 0 asks the system for a free one."""

    host: str
    port: int


class BaseUrl(msgspec.Struct, frozen=True):
    """Where a provider lives. `path` begins with a slash and ends without one, or is empty."""

    origin: Origin
    path: str


def without_password(url: str) -> str:
    """A URL as it may be shown, hashed and handed on."""
    scheme, sign, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    return f"{scheme}{sign}{user.partition(':')[0]}{at}{host}{slash}{path}"


def parse_listen(text: str) -> Listen:
    """`HOST:PORT`, an IPv6 host in brackets. Raises: ValueError with a sentence for the person who wrote it."""
    host, port = _split(text, "Write HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080.")
    if port is None:
        raise ValueError("The port is missing. Write HOST:PORT, for example 127.0.0.1:8080.")
    return Listen(host, port)


def parse_base_url(text: str) -> BaseUrl:
    """An http or https URL. Raises: ValueError with a sentence for the person who wrote it."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("This is not a URL that begins with http:// or https:// and is written in ASCII.")
    scheme, authority, path = match[1].lower(), match[2], match[3] or ""
    if "@" in authority:
        raise ValueError("A URL here may not hold a user or password. Put the secret under `credential`.")
    if "?" in text or "#" in text:
        raise ValueError("A base URL ends before any `?` or `#`. Leave the query and the fragment away.")
    if "\\" in path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("The path of a base URL has no backslash and no `.` or `..` in it.")
    host, port = _split(authority, "Write scheme://HOST[:PORT]/path, an IPv6 host in brackets.")
    if port == 0:
        raise ValueError("Port 0 cannot be called.")
    return BaseUrl(Origin(scheme, host, port or _PORTS[scheme]), path.rstrip("/"))


def parse_proxy(text: str) -> Origin:
    """`http://HOST:PORT`. Raises: ValueError with a sentence for the person who wrote it."""
    if not text.lower().startswith("http://"):
        raise ValueError("A proxy is asked over plain HTTP. Write http://HOST:PORT.")
    url = parse_base_url(text)
    if url.path or not re.search(r":[0-9]+/?\Z", text):
        raise ValueError("A proxy is a host and a port, without a path. Write http://HOST:PORT.")
    return url.origin


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """A network in CIDR notation. Raises: ValueError, saying what is wrong with it."""
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            "This is no network. Write it as 10.0.0.0/8 or fd00::/8, with no bits set beyond the prefix."
        ) from None


def is_private_looking(host: str) -> bool:
    """Whether a host seems to be this machine or a network of one's own, judged by its name or number alone."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_PRIVATE_NAMES)
    return not address.is_global


def _split(authority: str, hint: str) -> tuple[str, int | None]:
    """Host in lower case, without brackets, and port or None."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise ValueError(f"Host and port cannot be told apart. {hint}")
    port = int(match[2]) if match[2] else None
    if port is not None and port > 65535:
        raise ValueError("A port is a number from 0 to 65535.")
    return _host(match[1].lower(), hint), port


def _host(text: str, hint: str) -> str:
    try:
        if text.startswith("["):
            if "%" in text:
                raise ValueError("An IPv6 address with a zone (%…) cannot be used here.")
            return str(IPv6Address(text[1:-1]))
        if re.fullmatch(r"[0-9.]+", text):
            return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"The address of the host is not valid. {hint}") from None
    if _HOST_NAME.fullmatch(text) is None:
        raise ValueError(f"The host is missing or has letters that no host name has. {hint}")
    return text
