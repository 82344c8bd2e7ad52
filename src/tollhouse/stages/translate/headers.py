"""The headers of an upstream request, built anew from an allow-list: nothing a caller sends travels on by accident, no
credential ever does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tollhouse.absorption.betas import filter_betas
from tollhouse.config.snapshot import Upstream
from tollhouse.ports.provider import Endpoint

JSON: Final = (b"content-type", b"application/json")
PLAIN: Final = (b"accept-encoding", b"identity")
"""The tap must be able to read what comes."""
_CARRIED: Final = {
    "openai_chat": (b"openai-beta",),
    "openai_completions": (b"openai-beta",),
    "openai_embeddings": (b"openai-beta",),
    "openai_responses": (b"openai-beta",),
    "anthropic_messages": (b"anthropic-version",),
}
"""Headers of the callers that change what an answer looks like, and nothing else; by the dialect that has them."""
_BETAS: Final = b"anthropic-beta"


class Betas(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the previews a caller asks for by `anthropic-beta`."""

    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def betas_of(headers: Mapping[bytes, bytes], upstream: Upstream) -> Betas:
    """The caller's betas, split by what the upstream takes."""
    named = headers.get(_BETAS)
    if named is None:
        return Betas()
    wanted = [name.strip() for name in named.decode("latin-1").split(",") if name.strip()]
    kept, removed = filter_betas(upstream.provider.kind, wanted, upstream.provider.betas)
    return Betas(kept=tuple(kept), removed=tuple(removed))


def straight_headers(
    headers: Mapping[bytes, bytes], dialect: str, endpoint: Endpoint, upstream: Upstream, *, is_stream: bool
) -> tuple[tuple[tuple[bytes, bytes], ...], Betas]:
    """For an upstream of the caller's own dialect."""
    carried = [(name, headers[name]) for name in _CARRIED.get(dialect, ()) if name in headers]
    betas = betas_of(headers, upstream) if dialect == "anthropic_messages" else Betas()
    if betas.kept and endpoint.beta_field is None:
        carried.append((_BETAS, ",".join(betas.kept).encode("latin-1")))
    named = {name for name, _ in carried}
    fixed = [(name, value) for name, value in fixed_headers(upstream) if name not in named]
    return (JSON, (b"accept", accepted(endpoint, is_stream=is_stream)), PLAIN, *fixed, *carried), betas


def translated_headers(
    own: tuple[tuple[bytes, bytes], ...], endpoint: Endpoint, upstream: Upstream, *, is_stream: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """For an upstream of another dialect: `own` are those its writer asks for."""
    return (JSON, (b"accept", accepted(endpoint, is_stream=is_stream)), PLAIN, *fixed_headers(upstream), *own)


def accepted(endpoint: Endpoint, *, is_stream: bool) -> bytes:
    """What is written into `accept`."""
    return endpoint.stream_type.encode("ascii") if is_stream else b"application/json"


def fixed_headers(upstream: Upstream) -> list[tuple[bytes, bytes]]:
    """Those of every call to the provider."""
    return [(name.lower().encode(), value.encode()) for name, value in upstream.provider.headers]
