"""One HTTP request, blocking, for what answers in a few kilobytes: no redirects, no proxies, bounded in time and size.

A token goes to the host it was asked for and to no other, whatever the answer or the environment says.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tollhouse.config.address import is_private_looking
from tollhouse.ports.secrets import SecretSourceDown, SecretUnavailable

_TIMEOUT_S: Final = 3.0
_MOST_BYTES: Final = 1024 * 1024
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Answer(NamedTuple):
    """Status, headers in lower case, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = _NO_HEADERS,
    body: bytes | None = None,
    ca_file: str | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Answer:
    """The answer, whatever its status. `timeout_s` bounds each wait for the other side.

    Raises: SecretSourceDown where there is none; SecretUnavailable for an address that nothing may be sent to.
    """
    connection, target = _connection(url, ca_file, timeout_s)
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise SecretSourceDown(f"{connection.host} cannot be reached: {_reason(error)}.") from None
    finally:
        connection.close()
    if len(content) > _MOST_BYTES:
        raise SecretSourceDown(f"{connection.host} answered with more than {_MOST_BYTES} bytes.")
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def _connection(url: str, ca_file: str | None, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SecretUnavailable("The address of the secrets' source cannot be read.") from None
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise SecretUnavailable("The address of the secrets' source is not an http or https URL.")
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if parts.scheme == "http":
        if not is_private_looking(host):
            raise SecretUnavailable(f"Secrets of {host} would travel in clear: its address must be https.")
        return http.client.HTTPConnection(host, port, timeout=timeout_s), target
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SecretUnavailable(f"The file of authorities {ca_file} cannot be used: {error}.") from None
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context), target


def _reason(error: Exception) -> str:
    """What the system says. What the other side says is left out: it may repeat what it was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it is too slow"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"the connection failed ({type(error).__name__})"
