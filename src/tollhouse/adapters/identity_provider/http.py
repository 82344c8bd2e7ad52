"""One HTTP request to an identity provider, blocking: no redirects, no proxies, bounded as a whole."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tollhouse.config.address import is_private_looking

MOST_BYTES: Final = 256 * 1024
TIMEOUT_S: Final = 5.0
_NO_HEADERS: Final[Mapping[str, str]] = {}


class ProviderDown(Exception):
    """There is no answer that can be used; the text is a sentence that says why."""


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes


def call(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    ca_file: str | None = None,
    timeout_s: float = TIMEOUT_S,
    whom: str | None = None,
) -> Answer:
    """The answer, whatever its status. `timeout_s` is for all of it: one that comes in drops is cut off. Errors begin
    with `whom`.

    Raises: ProviderDown.
    """
    connection, target = _connection(url, ca_file, timeout_s)
    name = whom or f"The identity provider at {connection.host}"
    is_late = threading.Event()
    opened: list[socket.socket] = []
    """The connection lets go of its socket as soon as an answer has begun that ends with it."""

    def cut() -> None:
        is_late.set()
        for each in (*opened, connection.sock):
            with contextlib.suppress(OSError, AttributeError):
                each.shutdown(socket.SHUT_RDWR)

    clock = threading.Timer(timeout_s, cut)
    clock.daemon = True
    clock.start()
    try:
        connection.connect()
        opened.append(connection.sock)
        connection.request(method, target, body, {"accept": "application/json", **headers})
        answer = connection.getresponse()
        content = answer.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = "it is too slow" if is_late.is_set() else _reason(error)
        raise ProviderDown(f"{name} cannot be asked: {why}.") from None
    finally:
        clock.cancel()
        connection.close()
    if is_late.is_set():
        raise ProviderDown(f"{name} cannot be asked: it is too slow.")
    if len(content) > MOST_BYTES:
        raise ProviderDown(f"{name} answers with more than {MOST_BYTES} bytes.")
    return Answer(answer.status, content)


def _connection(url: str, ca_file: str | None, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ProviderDown("An address of the identity provider cannot be read.") from None
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None or not url.isascii():
        raise ProviderDown("An address of the identity provider is not an http or https URL.")
    if any(letter <= " " for letter in url):
        raise ProviderDown("An address of the identity provider has letters that no URL has.")
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if parts.scheme == "http":
        if not is_private_looking(host):
            raise ProviderDown(f"{host} is asked by https only: whoever stands between could say anything.")
        return http.client.HTTPConnection(host, port, timeout=timeout_s), target
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ProviderDown(f"The file of authorities {ca_file} cannot be used: {error}.") from None
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context), target


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it is too slow"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"the connection failed ({type(error).__name__})"
