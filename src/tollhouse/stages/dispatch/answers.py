"""Upstream answers while they come: judged by a tap, or passed on unread; and their failures told to people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Final

import msgspec

from tollhouse.balancing import Permit, Verdict
from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Plan, Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.credential import Opener
from tollhouse.ports.dialect import Reading, StreamTap
from tollhouse.ports.meter import Meter
from tollhouse.ports.reply import HeaderList
from tollhouse.ports.transport import Answer, Headers, Phase, Target, TransportError

from .next_step import Failure, verdict_of

_LAST_BYTES_S: Final = 0.25
_HIDDEN: Final = "***"
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
    opener: Opener | None = None
    """The same, for what is made of the credential: minted tokens, keys to sign with."""

    def secrets(self) -> tuple[str, ...]:
        """Every text to be taken out, the longest first: one may be a part of another."""
        texts = [self.secret.reveal()] if self.secret is not None else []
        if self.opener is None:
            return tuple(texts)
        texts += self.opener.secrets()
        return tuple(sorted(filter(None, texts), key=len, reverse=True))


class WatchedStream:
    """A stream on its way through a tap. Implements ports.opened.Live."""

    __slots__ = (
        "_answer", "_binding", "_clock", "_held", "_is_ended", "_passage", "_permit", "_plan", "_progress", "_tap",
        "_unread", "_verdict", "headers", "reading", "salvage", "status",
    )  # fmt: skip

    def __init__(
        self,
        answer: Answer,
        tap: StreamTap,
        headers: HeaderList,
        binding: Binding,
        plan: Plan,
        clock: Clock,
        passage: Passage,
        permit: Permit,
    ) -> None:
        """`permit` is ended with the stream, by what became of it."""
        self._answer = answer
        self._tap = tap
        self._binding = binding
        self._plan = plan
        self._clock = clock
        self._passage = passage
        self._permit = permit
        self._verdict = Verdict.NEUTRAL
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
        patience_s = self._plan.timeouts.first_token_s
        self._answer.expect(ErrorKind.TIMEOUT_FIRST_TOKEN, self._clock.monotonic() + patience_s)
        pieces: list[bytes] = []
        while not (self._tap.has_content if hold_preamble else pieces):
            pieces.append(await self._read())
            if self._is_ended:
                break
        self._held = b"".join(pieces)
        self._permit.heard(self._clock.monotonic())

    async def next(self) -> bytes:
        held = self._held
        if held:
            self._held = b""
            return held
        if self._is_ended:
            return b""
        started = self._clock.monotonic()
        try:
            return await (self._afterwards() if self._tap.is_done else self._read())
        except TransportError as error:
            explanation = explained(error, self._binding.upstream)
            self._blame(explanation)
            raise explanation from error
        except GatewayError as error:
            self.salvage = self._tap.salvage
            self._blame(error)
            raise scrubbed(error, self._binding.secrets()) from error
        finally:
            self.reading = self._tap.reading
            self._passage.upstream_s += self._clock.monotonic() - started

    def _blame(self, error: GatewayError) -> None:
        self._verdict = verdict_of(Failure(error=error, phase=Phase.STARTED), self._plan)

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
                        ErrorKind.TIMEOUT_IDLE, self._clock.monotonic() + self._plan.timeouts.idle_s
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
        if self._verdict is Verdict.NEUTRAL and (self._is_ended or self._tap.is_done):
            self._verdict = Verdict.GOOD
        self._permit.end(self._verdict, self._clock.monotonic())


class RawAnswer:
    """An answer that goes out as it is, read by a meter at most. Implements ports.opened.Live."""

    __slots__ = (
        "_answer",
        "_binding",
        "_clock",
        "_meter",
        "_passage",
        "_timeouts",
        "headers",
        "salvage",
        "status",
    )

    def __init__(
        self,
        answer: Answer,
        binding: Binding,
        timeouts: Timeouts,
        clock: Clock,
        passage: Passage,
        meter: Meter | None,
    ) -> None:
        self._answer = answer
        self._binding = binding
        self._timeouts = timeouts
        self._clock = clock
        self._passage = passage
        self.status = answer.status
        self.headers = carried_through(answer, binding)
        self.salvage = b""
        self._meter = meter if meter is not None and is_plain(answer) else None
        if self._meter is not None:
            self._meter.begin(header(answer, b"content-type") or b"")

    @property
    def reading(self) -> Reading:
        return self._meter.reading if self._meter is not None else Reading()

    async def next(self) -> bytes:
        started = self._clock.monotonic()
        self._answer.expect(ErrorKind.TIMEOUT_IDLE, started + self._timeouts.idle_s)
        try:
            data = await self._answer.read()
        except TransportError as error:
            raise explained(error, self._binding.upstream) from error
        finally:
            self._passage.upstream_s += self._clock.monotonic() - started
        if self._meter is not None:
            self._meter.see(data)
        return data

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
    headers = _clean([item for item in answer.headers if item[0] in _CARRIED], binding)
    if reply_type is None:
        return headers
    return [(b"content-type", reply_type), *[item for item in headers if item[0] != b"content-type"]]


def carried_through(answer: Answer, binding: Binding) -> HeaderList:
    """The same for the passthrough door."""
    return _clean([item for item in answer.headers if item[0] not in _NOT_CARRIED], binding)


def _clean(headers: Headers, binding: Binding) -> HeaderList:
    secrets = [text.encode() for text in binding.secrets()]
    return [(name, value) for name, value in headers if not any(secret in value for secret in secrets)]


def has_type(answer: Answer, content_type: bytes) -> bool:
    """Whether the answer says it is of that content type."""
    kind = header(answer, b"content-type")
    return kind is not None and kind.lower().startswith(content_type)


def looks_like_events(body: bytes) -> bool:
    """Whether a body begins as event streams do."""
    return (
        body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))
    )


def is_plain(answer: Answer) -> bool:
    """Whether the body is not compressed."""
    encoding = header(answer, b"content-encoding")
    return encoding is None or encoding.lower() == b"identity"


def check_plain(answer: Answer, binding: Binding) -> None:
    """Raises: GatewayError for an encoded body, which no tap could read."""
    if not is_plain(answer):
        raise invalid(binding, "compressed its answer although it was asked not to")


async def read_whole(answer: Answer, bound: int, binding: Binding) -> bytes:
    """The whole body, of at most `bound` bytes. Raises: GatewayError beyond it, TransportError."""
    answer.hurry()
    first = await answer.read()
    if not first:
        return first
    pieces = [first]
    length = len(first)
    while data := await answer.read():
        length += len(data)
        if length > bound:
            pieces.clear()  # the error's traceback keeps this frame, and with it the body, until a collection
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


def scrubbed(error: GatewayError, secrets: Iterable[str]) -> GatewayError:
    """The same error without our credential, wherever the upstream has repeated it."""
    for secret in secrets:
        _scrub(error, secret)
    return error


def _scrub(error: GatewayError, secret: str) -> None:
    error.message = error.message.replace(secret, _HIDDEN)
    error.param = error.param.replace(secret, _HIDDEN) if error.param is not None else None
    fault = error.upstream
    if fault is None:
        return
    if fault.retry_after is not None and secret in fault.retry_after:
        fault.retry_after = None
    fault.error = (
        {_text_without(key, secret): _without(item, secret) for key, item in fault.error.items()}
        if fault.error
        else None
    )


def _without(item: object, secret: str) -> object:
    """A decoded JSON value with the text taken out of every string in it."""
    match item:
        case str():
            return _text_without(item, secret)
        case list():
            return [_without(part, secret) for part in item]
        case dict():
            return {_text_without(key, secret): _without(part, secret) for key, part in item.items()}
        case _:
            return item


def _text_without(text: str, secret: str) -> str:
    return text.replace(secret, _HIDDEN)


def without_secrets(body: bytes, secrets: Iterable[str]) -> bytes:
    """A body with our credential taken out, as it is and as it may stand in JSON."""
    for secret in secrets:
        for form in _forms(secret):
            body = body.replace(form, _HIDDEN.encode())
    return body


def _forms(secret: str) -> set[bytes]:
    escaped = json.dumps(secret)[1:-1]
    return {secret.encode(), escaped.encode(), escaped.replace("/", "\\/").encode()}
