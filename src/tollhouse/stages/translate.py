"""From the caller's request to the one an upstream gets.

Headers are built anew from an allow-list: nothing a caller sends travels on by accident, no credential ever does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate
from tollhouse.ports.dialect import ClientCall, Dialect
from tollhouse.ports.provider import Endpoint
from tollhouse.ports.transport import UpstreamRequest

_JSON: Final = (b"content-type", b"application/json")
_PLAIN: Final = (b"accept-encoding", b"identity")
"""The tap must be able to read what comes."""
_CARRIED: Final = (b"openai-beta",)
"""Headers of the callers that change what an answer looks like, and nothing else."""

_NOT_PASSED: Final = frozenset(
    [
        b"accept-encoding", b"api-key", b"authorization", b"connection", b"content-length", b"cookie", b"expect",
        b"forwarded", b"host", b"keep-alive", b"openai-organization", b"openai-project", b"origin",
        b"proxy-authorization", b"proxy-connection", b"referer", b"te", b"trailer", b"transfer-encoding", b"upgrade",
        b"via", b"x-api-key", b"x-goog-api-key", b"x-http-method-override",
        b"x-original-url", b"x-real-ip", b"x-rewrite-url",
    ]
)  # fmt: skip
"""Connection-bound, credential-bearing or caller-revealing: not even the passthrough door carries these."""


def endpoint_of(upstream: Upstream, operation: Operation, dialect: str) -> Endpoint | None:
    """Where the upstream takes this operation in this dialect; None if it does not offer it."""
    if dialect not in upstream.dialects:
        return None
    return upstream.provider.endpoint(operation, dialect)


def translate(
    call: ClientCall,
    candidate: Candidate,
    upstream: Upstream,
    dialect: Dialect,
    headers: Mapping[bytes, bytes],
) -> UpstreamRequest:
    """The request for one candidate, who speaks the caller's dialect: the caller's bytes, our headers."""
    endpoint = endpoint_of(upstream, call.operation, dialect.name)
    assert endpoint is not None, "a plan names only candidates that offer the operation"
    provider = upstream.provider
    return UpstreamRequest(
        method=b"POST",
        path=(upstream.base_path + endpoint.path).encode("ascii"),
        headers=(
            _JSON,
            (b"accept", b"text/event-stream" if call.is_stream else b"application/json"),
            _PLAIN,
            *_fixed(upstream),
            *[(name, headers[name]) for name in _CARRIED if name in headers],
        ),
        body=dialect.forward(
            call, candidate.model, ask_usage=call.is_stream and provider.takes_stream_options
        ),
    )


def _fixed(upstream: Upstream) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in upstream.provider.headers]


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
            _PLAIN,
            *_fixed(upstream),
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
