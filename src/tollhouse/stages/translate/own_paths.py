"""A request for one of a provider's own paths: what the caller wrote, less what is the house's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.ports.transport import UpstreamRequest

from .headers import PLAIN, fixed_headers

_NOT_PASSED: Final = frozenset(
    [
        b"accept-encoding", b"api-key", b"authorization", b"connection", b"content-length", b"cookie", b"expect",
        b"forwarded", b"host", b"keep-alive", b"openai-organization", b"openai-project", b"origin",
        b"proxy-authorization", b"proxy-connection", b"referer", b"te", b"trailer", b"transfer-encoding", b"upgrade",
        b"via", b"x-api-key", b"x-client-cert", b"x-goog-api-key", b"x-http-method-override",
        b"x-original-url", b"x-real-ip", b"x-rewrite-url",
    ]
)  # fmt: skip
"""Connection-bound, credential-bearing or caller-revealing: not even the passthrough door carries these."""


def pass_through(
    method: str, path: str, query: str, headers: Mapping[bytes, bytes], body: bytes, upstream: Upstream
) -> UpstreamRequest:
    """A request for one of the provider's own paths, below its base URL, as the caller wrote it.

    `path` is still percent-encoded. Raises: GatewayError `invalid_request` for paths that would leave the base URL.
    """
    _check_path(path)
    named = {token.strip().lower() for token in headers.get(b"connection", b"").split(b",")}
    target = f"{upstream.base_path}/{path}" + (f"?{query}" if query else "")
    return UpstreamRequest(
        method=method.encode("ascii"),
        path=target.encode("latin-1"),
        headers=(
            *[
                (name, value)
                for name, value in headers.items()
                if name not in _NOT_PASSED
                and name not in named
                and not name.startswith((b"x-forwarded-", b"x-tollhouse-"))
            ],
            PLAIN,
            *fixed_headers(upstream),
        ),
        body=body,
    )


def _check_path(path: str) -> None:
    """Neither as it stands nor however often it is decoded may a segment be empty or dots, parameters aside."""
    if any(not 0x21 <= ord(letter) <= 0x7E for letter in path):
        raise _bad_path()
    plain, decoded = "", path
    while decoded != plain:
        plain, decoded = decoded, unquote(decoded)
    segments = [segment.partition(";")[0] for segment in plain.replace("\\", "/").split("/")]
    if ".." in segments or "." in segments or "" in segments[:-1]:
        raise _bad_path()


def _bad_path() -> GatewayError:
    return invalid_request(
        "The path after /passthrough/{provider}/ must name something below the provider's base URL.",
        hint="Write the path as the provider's reference does, without `.` or `..` segments and without `//`.",
    )
