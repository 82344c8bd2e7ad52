"""Metering of a provider's own paths: where one of them is an endpoint the house knows, its dialect reads the usage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import GatewayError
from tollhouse.ports.dialect import Ask, ClientCall, Dialect, Reading, StreamTap
from tollhouse.ports.provider import Endpoint, Framing

from .straight import UnwrappingTap

_LARGEST_BODY_BYTES: Final = 8 * 1024 * 1024
"""Answers beyond it go out like all others, and their usage is not known."""
_PLACE: Final = re.compile(r"\\\{(\w+)\\\}")


class PassthroughMeter:
    """Watches one answer with the tap of its dialect, whose output is thrown away. Implements ports.meter.Meter.

    A stream is told by its content type; everything else is read whole at its end.
    """

    __slots__ = ("_body", "_dialect", "_endpoint", "_length", "_reading", "_tap", "call")

    def __init__(self, call: ClientCall, dialect: Dialect, endpoint: Endpoint) -> None:
        self.call = call
        self._dialect = dialect
        self._endpoint = endpoint
        self._tap: StreamTap | None = None
        self._body: list[bytes] | None = None
        """What has come of an answer that is read whole; None where nothing is collected."""
        self._length = 0
        self._reading = Reading()

    def begin(self, content_type: bytes) -> None:
        if not self.call.is_stream:
            self._body = []
            return
        kind = content_type.partition(b";")[0].strip().lower()
        if kind != self._endpoint.stream_type.encode("ascii"):
            self._body = []
            return
        try:
            tap = self._dialect.tap_stream(self.call)
            wrapped = self._endpoint.framing is Framing.BEDROCK_CHUNKS
            self._tap = UnwrappingTap(tap) if wrapped else tap
        except Exception:  # noqa: BLE001 - see `see`
            self._stop()

    def see(self, data: bytes) -> None:
        try:
            if self._tap is not None:
                self._watch(self._tap, data)
            elif self._body is not None:
                self._collect(self._body, data)
        except Exception:  # noqa: BLE001 - whatever the answer is, it goes out: it only is not understood
            self._stop()

    @property
    def dialect(self) -> str:
        return self._dialect.name

    @property
    def reading(self) -> Reading:
        if self._tap is not None:
            self._note(self._tap)
        return self._reading

    def _watch(self, tap: StreamTap, data: bytes) -> None:
        if data:
            tap.feed(data)
        else:
            self._reading = tap.end()
            self._tap = None

    def _collect(self, body: list[bytes], data: bytes) -> None:
        if not data:
            self._body = None
            self._reading = self._read(b"".join(body))
            return
        self._length += len(data)
        if self._length > _LARGEST_BODY_BYTES:
            self._stop()
        else:
            body.append(data)

    def _read(self, body: bytes) -> Reading:
        """What a whole answer says. Raises: GatewayError and more."""
        if not self.call.is_stream or not body.lstrip().startswith(b"["):
            return self._dialect.tap_unary(body, self.call.operation)
        # Gemini's streams are one array where nobody asks for events.
        tap = self._dialect.tap_stream(msgspec.structs.replace(self.call, query="alt=sse"))
        for item in msgspec.json.decode(body, type=list[Any]):
            tap.feed(b"data: %b\n\n" % msgspec.json.encode(item))
        return tap.end()

    def _stop(self) -> None:
        """Look no further; what has been seen stands."""
        tap, self._tap, self._body = self._tap, None, None
        if tap is not None:
            self._note(tap)

    def _note(self, tap: StreamTap) -> None:
        try:
            self._reading = tap.reading
        except Exception:  # noqa: BLE001 - as in `see`
            self._tap = None


def meter_of(
    method: str,
    path: str,
    query: str,
    headers: Mapping[bytes, bytes],
    body: bytes,
    upstream: Upstream,
    dialects: Mapping[str, Dialect],
) -> PassthroughMeter | None:
    """The meter for a call of a provider's own path; None where it is no endpoint the house knows, or not called as
    one. `path` has no slash at its beginning and is still percent-encoded."""
    if method != "POST":
        return None
    for endpoint in upstream.provider.endpoints:
        dialect = dialects.get(endpoint.dialect)
        match = _match(endpoint, f"/{path}")
        if dialect is None or match is None:
            continue
        model, is_stream = match
        ask = Ask(
            operation=endpoint.operation,
            body=body,
            path_model=model,
            path_stream=is_stream,
            query=query,
            headers=headers,
        )
        try:
            return PassthroughMeter(dialect.read(ask), dialect, endpoint)
        except GatewayError:
            return None  # it is the provider's to say what is wrong with it
    return None


def _match(endpoint: Endpoint, path: str) -> tuple[str | None, bool | None] | None:
    """The model a path names and whether it asks for a stream, None each where it does not say; None where it is not
    the endpoint's."""
    found = _pattern(endpoint.path).fullmatch(path)
    if found is not None:
        return _model(found), False if endpoint.stream_path is not None else None
    for template, is_stream in ((endpoint.stream_path, True), (endpoint.own_path, None)):
        found = _pattern(template).fullmatch(path) if template is not None else None
        if found is not None:
            return _model(found), is_stream
    return None


def _model(found: re.Match[str]) -> str | None:
    name = found.groupdict().get("model")
    return unquote(name) if name is not None else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """The paths that an endpoint's template stands for. Models may have slashes in them, settings not."""
    text = re.escape(template.partition("?")[0])
    return re.compile(
        _PLACE.sub(lambda place: "(?P<model>.+)" if place[1] == "model" else "[^/]+", text), re.ASCII
    )
