"""Upstream answers while they come: judged by a tap, or passed on unread; and their failures told to people."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.dialect import Reading, StreamTap
from tollhouse.ports.reply import HeaderList
from tollhouse.ports.transport import Answer, Target, TransportError

_LAST_BYTES_S: Final = 0.25
_CARRIED: Final = frozenset([b"content-type", b"openai-processing-ms", b"openai-version", b"retry-after"])
"""Headers of an upstream's answer that reach the caller: none that names the house's account there."""
_NOT_CARRIED: Final = frozenset(
    [
        b"alt-svc", b"connection", b"content-length", b"date", b"keep-alive", b"openai-organization",
        b"openai-project", b"proxy-authenticate", b"server", b"set-cookie", b"strict-transport-security", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"via", b"x-request-id",
    ]
)  # fmt: skip
"""The same for the passthrough door, which carries the rest."""


class Binding(msgspec.Struct, frozen=True):
    """A configured upstream, ready to be called."""

    upstream: Upstream
    target: Target
    secret: Secret | None
    """Only for taking the credential out of what an upstream says in its errors."""


class WatchedStream:
    """A stream on its way through a tap. Implements ports.opened.Live."""

    __slots__ = (
        "_answer", "_binding", "_clock", "_held", "_is_ended", "_passage", "_progress", "_tap", "_timeouts",
        "_unread", "headers", "reading", "salvage", "status",
    )  # fmt: skip

    def __init__(
        self,
        answer: Answer,
        tap: StreamTap,
        headers: HeaderList,
        binding: Binding,
        timeouts: Timeouts,
        clock: Clock,
        passage: Passage,
    ) -> None:
        self._answer = answer
        self._tap = tap
        self._binding = binding
        self._timeouts = timeouts
        self._clock = clock
        self._passage = passage
        self._held = b""
        self._unread = b""
        self._is_ended = False
        self._progress = 0
        self.status = answer.status
        self.headers = headers
        self.reading = Reading()
        self.salvage = b""

    def put_back(self, data: bytes, reply_type: bytes | None) -> None:
        """Bytes of the body that were read to see what it is; for answers that hide that they are streams."""
        self._unread = data
        if reply_type is not None:
            return
        self.headers = [(name, value) for name, value in self.headers if name != b"content-type"]
        self.headers.append((b"content-type", b"text/event-stream"))

    async def begin(self, *, hold_preamble: bool) -> None:
        """Read until something may go out: the first frame, or with `hold_preamble` the first content.

        Raises: GatewayError or TransportError while everything can still be tried again.
        """
        self._answer.expect(
            ErrorKind.TIMEOUT_FIRST_TOKEN, self._clock.monotonic() + self._timeouts.first_token_s
        )
        pieces: list[bytes] = []
        while not (self._tap.has_content if hold_preamble else pieces):
            pieces.append(await self._read())
            if self._is_ended:
                break
        self._held = b"".join(pieces)

    async def next(self) -> bytes:
        held = self._held
        if held:
            self._held = b""
            return held
        if self._is_ended:
            return b""
        if self._tap.is_done:
            return await self._afterwards()
        started = self._clock.monotonic()
        try:
            return await self._read()
        except TransportError as error:
            raise explained(error, self._binding.upstream) from error
        except GatewayError as error:
            self.salvage = self._tap.salvage
            raise scrubbed(error, self._binding.secret) from error
        finally:
            self.reading = self._tap.reading
            self._passage.upstream_s += self._clock.monotonic() - started

    async def _afterwards(self) -> bytes:
        """The terminal event has gone by: what follows at once still goes out where the dialect takes it."""
        if self._tap.takes_more:
            self._answer.expect(ErrorKind.TIMEOUT_IDLE, self._clock.monotonic() + _LAST_BYTES_S)
            with contextlib.suppress(TransportError):
                data = await self._answer.read()
                if data:
                    return self._tap.feed(data)
            self._is_ended = True
        self.reading = self._tap.end()
        return self._tap.salvage

    async def _read(self) -> bytes:
        """The next whole frames; at the proper end what was left of them, which is `b""` as a rule."""
        tap = self._tap
        while True:
            data, self._unread = self._unread or await self._answer.read(), b""
            if not data:
                self.reading = tap.end()
                self._is_ended = True
                return tap.salvage
            out = tap.feed(data)
            if tap.progress != self._progress:
                self._progress = tap.progress
                if tap.has_content:
                    self._answer.expect(
                        ErrorKind.TIMEOUT_IDLE, self._clock.monotonic() + self._timeouts.idle_s
                    )
            if out:
                return out

    async def finish(self) -> None:
        if self._is_ended:
            return
        self._answer.expect(ErrorKind.TIMEOUT_IDLE, self._clock.monotonic() + _LAST_BYTES_S)
        with contextlib.suppress(TransportError):
            while await self._answer.read():
                pass

    def close(self) -> None:
        self._answer.close()


class RawAnswer:
    """An answer nobody looks into. Implements ports.opened.Live."""

    __slots__ = (
        "_answer",
        "_binding",
        "_clock",
        "_passage",
        "_timeouts",
        "headers",
        "reading",
        "salvage",
        "status",
    )

    def __init__(
        self, answer: Answer, binding: Binding, timeouts: Timeouts, clock: Clock, passage: Passage
    ) -> None:
        self._answer = answer
        self._binding = binding
        self._timeouts = timeouts
        self._clock = clock
        self._passage = passage
        self.status = answer.status
        self.headers = carried_through(answer, binding)
        self.reading = Reading()
        self.salvage = b""

    async def next(self) -> bytes:
        started = self._clock.monotonic()
        self._answer.expect(ErrorKind.TIMEOUT_IDLE, started + self._timeouts.idle_s)
        try:
            return await self._answer.read()
        except TransportError as error:
            raise explained(error, self._binding.upstream) from error
        finally:
            self._passage.upstream_s += self._clock.monotonic() - started

    async def finish(self) -> None:
        """Its proper end was the end of the body."""

    def close(self) -> None:
        self._answer.close()


def header(answer: Answer, name: bytes) -> bytes | None:
    """The first header of that name."""
    for key, value in answer.headers:
        if key == name:
            return value
    return None


def carried(answer: Answer, binding: Binding, reply_type: bytes | None) -> HeaderList:
    """The headers of an answer that may reach the caller; `reply_type` where its content type is not the upstream's."""
    headers = [
        (name, value) for name, value in answer.headers if name in _CARRIED and _is_clean(value, binding)
    ]
    if reply_type is None:
        return headers
    return [(b"content-type", reply_type), *[item for item in headers if item[0] != b"content-type"]]


def carried_through(answer: Answer, binding: Binding) -> HeaderList:
    """The same for the passthrough door."""
    return [(n, v) for n, v in answer.headers if n not in _NOT_CARRIED and _is_clean(v, binding)]


def _is_clean(value: bytes, binding: Binding) -> bool:
    return binding.secret is None or binding.secret.reveal().encode() not in value


def has_type(answer: Answer, content_type: bytes) -> bool:
    """Whether the answer says it is of that content type."""
    kind = header(answer, b"content-type")
    return kind is not None and kind.lower().startswith(content_type)


def looks_like_events(body: bytes) -> bool:
    """Whether a body begins as event streams do."""
    return (
        body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))
    )


def check_plain(answer: Answer, binding: Binding) -> None:
    """Raises: GatewayError for an encoded body, which no tap could read."""
    encoding = header(answer, b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise invalid(binding, "compressed its answer although it was asked not to")


async def read_whole(answer: Answer, bound: int, binding: Binding) -> bytes:
    """The whole body, of at most `bound` bytes. Raises: GatewayError beyond it, TransportError."""
    first = await answer.read()
    if not first:
        return first
    pieces = [first]
    length = len(first)
    while data := await answer.read():
        length += len(data)
        if length > bound:
            raise invalid(binding, f"answered with more than {bound} bytes")
        pieces.append(data)
    return first if len(pieces) == 1 else b"".join(pieces)


def invalid(binding: Binding, what: str) -> GatewayError:
    """The upstream did something no upstream does; `what` continues the sentence that names it."""
    return GatewayError(
        ErrorKind.UPSTREAM_INVALID_RESPONSE,
        f"The upstream {binding.upstream.name!r} {what}.",
        blame=Blame.UPSTREAM,
        hint="Nothing is wrong with your request; tell the operator if it goes on.",
    )


def explained(error: TransportError, upstream: Upstream) -> GatewayError:
    """A failure below HTTP, told to people."""
    is_ours = error.kind is ErrorKind.OVERLOADED
    return GatewayError(
        error.kind,
        f"The upstream {upstream.name!r} did not answer as it should: {error}",
        blame=Blame.GATEWAY if is_ours else Blame.UPSTREAM,
        hint="Try again; the operator finds the attempt in `tollhouse requests`.",
    )


def scrubbed(error: GatewayError, secret: Secret | None) -> GatewayError:
    """The same error without our credential, wherever the upstream has repeated it."""
    if secret is None:
        return error
    value = secret.reveal()
    error.message = error.message.replace(value, "***")
    error.param = error.param.replace(value, "***") if error.param is not None else None
    fault = error.upstream
    if fault is not None:
        if fault.retry_after is not None and value in fault.retry_after:
            fault.retry_after = None
        fault.error = (
            {key: _without(item, value) for key, item in fault.error.items()} if fault.error else None
        )
    return error


def _without(item: object, value: str) -> object:
    """A decoded JSON value with the text taken out of every string in it."""
    match item:
        case str():
            return item.replace(value, "***")
        case list():
            return [_without(part, value) for part in item]
        case dict():
            return {key: _without(part, value) for key, part in item.items()}
        case _:
            return item


def without_secret(body: bytes, secret: Secret | None) -> bytes:
    """A body with our credential taken out."""
    return body if secret is None else body.replace(secret.reveal().encode(), b"***")
