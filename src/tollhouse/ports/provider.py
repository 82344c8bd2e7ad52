"""A provider is data: where it lives, what it speaks, how it is opened, and in what it deviates."""

from __future__ import annotations

import msgspec

from tollhouse.core.operation import Operation


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the provider can do."""

    operation: Operation
    dialect: str
    path: str
    """Below the base URL, with its leading slash."""


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """The header a credential travels in."""

    header: str = "authorization"
    prefix: str = "Bearer "


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of upstream. A file under `providers/` defines one as `PROVIDER`; strangers register theirs under the
    entry point group `tollhouse.providers`."""

    kind: str
    title: str
    """The name people know it by."""
    docs_url: str
    """Where its API is described, and in the module's docstring when it was read."""
    endpoints: tuple[Endpoint, ...]
    base_url: str | None = None
    """What the official SDK takes; None where each installation has its own."""
    auth: Auth = Auth()
    needs_credential: bool = True
    takes_stream_options: bool = True
    """Whether `stream_options.include_usage` may be sent on streams."""
    headers: tuple[tuple[str, str], ...] = ()
    """Fixed headers of every call."""

    def endpoint(self, operation: Operation, dialect: str) -> Endpoint | None:
        """The endpoint for an operation in a dialect, or None."""
        for endpoint in self.endpoints:
            if endpoint.operation is operation and endpoint.dialect == dialect:
                return endpoint
        return None
