"""What a caller's URL says, read once and strictly. Messages name the host only: the rest of a URL may be a secret."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.ports.fetcher import Fetched
from tollhouse.ports.transport import Origin

_PORTS: Final = {"http": 80, "https": 443}
_MOST_CHARACTERS: Final = 8_192
_MOST_EXPANSION: Final = 4
"""Base64 takes four characters for three bytes, percent-encoding three for one."""
_CONTROL = re.compile(r"[\x00-\x20\x7f]").search
_KEPT: Final = "/?%:@!$&'()*+,;=~-._"
"""What stands in a path or query as it is; everything else is percent-encoded."""
_TYPES = re.compile(r"(?:image|audio|video)/[a-z0-9!#$&^_.+-]{1,100}|application/pdf|text/plain").fullmatch
_SENDABLE = "Only pictures, PDF, audio, video and plain text are fetched."


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where something is to be got."""

    origin: Origin
    path: bytes
    """Origin form with its query, percent-encoded."""
    url: str
    """What redirects are relative to."""


def read_url(url: str) -> Place:
    """An http or https URL. Raises: GatewayError `invalid_request`."""
    if len(url) > _MOST_CHARACTERS or _CONTROL(url):
        raise invalid_request(
            f"A URL has spaces or control characters in it, or more than {_MOST_CHARACTERS} characters.",
            hint="Percent-encode the URL, or send the content itself as base64.",
        )
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        has_user = parts.username is not None or parts.password is not None
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        path = quote(parts.path or "/", safe=_KEPT)
        query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    except ValueError:  # UnicodeError among them
        raise invalid_request("A URL cannot be read.", hint="Check its host and its port.") from None
    if scheme not in _PORTS:
        raise invalid_request(
            "Only http and https URLs are fetched.", hint="Send the content itself as base64 otherwise."
        )
    if not host:
        raise invalid_request("A URL has no host.", hint="Give the whole URL.")
    if has_user:
        raise invalid_request(
            f"The URL at {host} holds a user name or a password: those are not sent.",
            hint="Sign the URL, or send the content itself as base64.",
        )
    origin = Origin(scheme, host, _PORTS[scheme] if port is None else port)
    return Place(origin=origin, path=f"{path}{query}".encode("ascii"), url=url)


def redirected(place: Place, location: str) -> Place:
    """Where a redirect leads. Raises: GatewayError `invalid_request`."""
    try:
        url = urljoin(place.url, location) if location else ""
    except ValueError:
        raise invalid_request(
            f"{place.origin.host} redirects to what is not a URL.", hint="Check the URL."
        ) from None
    if not url:
        raise invalid_request(
            f"{place.origin.host} redirects without saying where to.", hint="Check the URL."
        )
    return read_url(url)


def sendable_type(content_type: str, host: str) -> str:
    """A media type without its parameters. Raises: GatewayError `invalid_request` where it is none of those sent."""
    media_type = content_type.partition(";")[0].strip().lower()
    if _TYPES(media_type) is None:
        raise invalid_request(
            f"What is at {host} does not say that it is a picture or a document"
            + (f": its media type is {media_type[:60]!r}." if media_type else ": it has no media type."),
            hint=f"{_SENDABLE} Send the content itself as base64, with its media type.",
        )
    return media_type


def decode_data_url(url: str, max_bytes: int) -> Fetched:
    """What a `data:` URL holds (RFC 2397). Raises: GatewayError `invalid_request`."""
    head, comma, data = url[len("data:") :].partition(",")
    if not comma:
        raise invalid_request("A data URL has no comma.", hint="Its form is data:MEDIA/TYPE;base64,DATA.")
    media_type, *parameters = head.split(";")
    is_base64 = bool(parameters) and parameters[-1].strip().lower() == "base64"
    if len(data) > _MOST_EXPANSION * (max_bytes + 1):  # before anything is copied
        raise too_large("A data URL", max_bytes)
    body = unquote_to_bytes(data) if "%" in data or not is_base64 else data.encode("utf-8")
    if is_base64:
        try:
            body = base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
        except binascii.Error:
            raise invalid_request(
                "A data URL does not hold what it says: it is not base64.", hint="Encode the content again."
            ) from None
    if len(body) > max_bytes:
        raise too_large("A data URL", max_bytes)
    return Fetched(media_type=sendable_type(media_type or "text/plain", "a data URL"), body=body)


def too_large(what: str, max_bytes: int) -> GatewayError:
    """More than is taken, whoever sent it."""
    return invalid_request(
        f"{what} holds more than the {max_bytes} bytes that are taken.",
        hint="Send less; the operator sets the bound with fetch.max_bytes.",
    )
