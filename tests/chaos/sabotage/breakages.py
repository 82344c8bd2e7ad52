"""Broken builds: each function takes one thing out of the house that a scenario relies on.

Applied inside the processes of a house by `sitecustomize`, never by the product. Whatever is renamed in the product
has to be renamed here: a breakage that finds nothing to break is an error of the run, not a pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

BREAKAGES: dict[str, Callable[[], None]] = {}


def breakage(apply: Callable[[], None]) -> Callable[[], None]:
    BREAKAGES[apply.__name__] = apply
    return apply


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Put `around(original, *arguments)` in the place of a function. Raises: AttributeError where there is none."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def replacement(*arguments: Any, **named: Any) -> Any:
        return around(original, *arguments, **named)

    setattr(owner, name, replacement)


# -- attempts


@breakage
def nothing_is_tried_twice() -> None:
    from tollhouse.stages.dispatch import dispatcher

    wrap(dispatcher, "next_step", lambda original, *arguments, **named: None)


# -- clocks


@breakage
def the_connect_clock_is_slow() -> None:
    """Three times as long."""
    from tollhouse.adapters.http1.dial import Dialler

    wrap(
        Dialler,
        "_clock",
        lambda original, self, kind, limit_s, *rest: original(self, kind, 3 * limit_s, *rest),
    )


@breakage
def the_first_header_clock_stands_still() -> None:
    from tollhouse.adapters.http1.connection import Connection

    def call(original: Any, self: Any, head: bytes, body: bytes, **named: Any) -> Any:
        return original(self, head, body, **{**named, "first_header_at": float("inf")})

    wrap(Connection, "call", call)


@breakage
def the_first_token_clock_stands_still() -> None:
    _never_expect("TIMEOUT_FIRST_TOKEN")


@breakage
def the_idle_clock_stands_still() -> None:
    _never_expect("TIMEOUT_IDLE")


def _never_expect(name: str) -> None:
    from tollhouse.adapters.http1.answer import Http1Answer
    from tollhouse.core.errors import ErrorKind

    deaf_to = ErrorKind[name]

    def expect(original: Any, self: Any, kind: ErrorKind, at: float) -> None:
        original(self, kind, float("inf") if kind is deaf_to else at)

    wrap(Http1Answer, "expect", expect)


@breakage
def heartbeats_are_progress() -> None:
    """Whatever is read puts the clocks off, content or not."""
    from tollhouse.adapters.http1.answer import Http1Answer

    def expect(original: Any, self: Any, kind: Any, at: float) -> None:
        self._patience_s = at - self._loop.time()
        original(self, kind, at)

    async def read(original: Any, self: Any) -> bytes:
        taken: bytes = await original(self)
        if self._kind.is_timeout and self._patience_s:
            self.expect(self._kind, self._loop.time() + self._patience_s)
        return taken

    _with_room_for(Http1Answer, "_patience_s")
    wrap(Http1Answer, "expect", expect)
    wrap(Http1Answer, "read", read)


def _with_room_for(owner: Any, name: str) -> None:
    """An attribute for a class whose slots have none: kept beside it."""
    kept: dict[int, Any] = {}
    setattr(
        owner,
        name,
        property(
            lambda self: kept.get(id(self)),
            lambda self, value: kept.__setitem__(id(self), value),
        ),
    )


# -- streams


@breakage
def streams_need_no_end() -> None:
    """The end of the body is the end of the answer."""
    from tollhouse.dialects.gemini_generate import tap as gemini
    from tollhouse.dialects.ground_family import event_streams

    def end(original: Any, self: Any) -> Any:
        from tollhouse.core.errors import GatewayError

        try:
            return original(self)
        except GatewayError:
            return self.reading

    for module in (gemini, event_streams):
        for owner in vars(module).values():
            if isinstance(owner, type) and owner.__module__ == module.__name__ and hasattr(owner, "reading"):
                wrap(owner, "end", end)


@breakage
def lines_end_in_lf_only() -> None:
    from tollhouse.wire.sse import FrameSplitter

    def border(original: Any, self: Any, data: bytes, start: int) -> int:
        found = data.find(b"\n\n", start)
        return found + 2 if found >= 0 else -1

    wrap(FrameSplitter, "_border", border)


# -- answers


@breakage
def every_answer_is_good() -> None:
    """Whatever comes under status 200 goes to the caller."""
    from tollhouse.core.errors import GatewayError
    from tollhouse.ports.dialect import Reading
    from tollhouse.stages.translate.straight import Straight

    class Credulous:
        """A tap that sees nothing wrong."""

        has_content = True
        is_done = False
        takes_more = True
        progress = 1
        salvage = b""
        reading = Reading()

        def feed(self, data: bytes) -> bytes:
            return data

        def end(self) -> Reading:
            return self.reading

    def whole(original: Any, self: Any, body: bytes) -> Any:
        try:
            return original(self, body)
        except GatewayError:
            return body, Reading()

    wrap(Straight, "whole", whole)
    wrap(Straight, "stream", lambda original, self: Credulous())


# -- limits and bursts


@breakage
def retry_after_is_not_read() -> None:
    from tollhouse.stages.dispatch import dispatcher
    from tollhouse.stages.translate.straight import Straight

    wrap(dispatcher, "asked_wait_s", lambda original, *arguments: None)

    wrap(
        Straight,
        "refusal",
        lambda original, self, status, body, retry_after: original(self, status, body, None),
    )


@breakage
def limits_do_not_rest_a_key() -> None:
    from tollhouse.balancing.standing import Standing

    wrap(Standing, "_note_limited", lambda original, self, *arguments: None)


@breakage
def failures_change_nothing() -> None:
    """No breaker opens, no budget of retries runs out."""
    from tollhouse.balancing import Permit, Verdict
    from tollhouse.balancing.standing import Standing

    wrap(Permit, "end", lambda original, self, verdict, *rest: original(self, Verdict.NEUTRAL, *rest))
    wrap(Standing, "may_repeat", lambda original, self: True)


# -- callers


@breakage
def callers_who_leave_are_not_noticed() -> None:
    from tollhouse.surface.http.connection import Connection

    wrap(Connection, "_leave", lambda original, self: None)


@breakage
def drains_have_no_bound() -> None:
    from tollhouse.stages.detach import Detached

    def init(original: Any, self: Any, report: Any, **named: Any) -> None:
        original(self, report, **{**named, "most": 1_000_000})

    wrap(Detached, "__init__", init)


# -- upstreams


@breakage
def fallback_cycles_are_not_seen() -> None:
    from tollhouse.config.fallbacks import FallbackCompiler

    def has_cycles(original: Any, self: Any) -> bool:
        self._error = lambda *told: None
        found: bool = original(self)
        return found

    wrap(FallbackCompiler, "_has_cycles", has_cycles)


@breakage
def all_models_share_one_place() -> None:
    """One limit and one queue for a provider, whatever it is asked for."""
    from tollhouse.balancing import Standings

    def of(original: Any, self: Any, deployment: Any, model: str) -> Any:
        keys = [key for key in self._standings if key[0] == deployment.provider]
        return self._standings[max(keys)] if keys else original(self, deployment, model)

    wrap(Standings, "of", of)


@breakage
def slow_callers_are_waited_for() -> None:
    from tollhouse.surface.http.connection import Connection

    wrap(Connection, "_watch_taking", lambda original, self, now: None)


@breakage
def nobody_looks_at_the_clock() -> None:
    """Of callers who send nothing."""
    from tollhouse.surface.http.connection import Connection

    wrap(Connection, "sweep", lambda original, self, now: None)


@breakage
def accepting_takes_its_time() -> None:
    import time

    from tollhouse.surface.http.server import HttpServer

    def opened(original: Any, self: Any, connection: Any) -> Any:
        time.sleep(0.02)
        return original(self, connection)

    wrap(HttpServer, "opened", opened)


@breakage
def nothing_is_too_large() -> None:
    from tollhouse.stages.dispatch import dispatcher

    async def read_whole(original: Any, answer: Any, bound: int, binding: Any) -> bytes:
        whole: bytes = await original(answer, 64 * bound, binding)
        return whole

    wrap(dispatcher, "read_whole", read_whole)


@breakage
def the_total_clock_stands_still() -> None:
    from tollhouse.adapters.http1.connection import Connection

    def call(original: Any, self: Any, head: bytes, body: bytes, **named: Any) -> Any:
        return original(self, head, body, **{**named, "deadline": float("inf")})

    wrap(Connection, "call", call)


@breakage
def encoded_answers_are_unpacked() -> None:
    """As libraries do that ask nobody."""
    import zlib

    from tollhouse.stages.dispatch import dispatcher

    async def read_whole(original: Any, answer: Any, bound: int, binding: Any) -> bytes:
        packed: bytes = await original(answer, bound, binding)
        try:
            return zlib.decompress(packed, 47)  # gzip or zlib, as it comes
        except zlib.error:
            return packed

    wrap(dispatcher, "check_plain", lambda original, *arguments: None)
    wrap(dispatcher, "read_whole", read_whole)


@breakage
def bodies_have_no_bound() -> None:
    from tollhouse.surface.http.wire_request import WireRequest

    def init(original: Any, self: Any, **named: Any) -> None:
        original(self, **{**named, "body_bytes": 1 << 62})

    wrap(WireRequest, "__init__", init)


@breakage
def compressed_bodies_are_unpacked() -> None:
    """All of it, whatever it comes to."""
    import zlib

    from tollhouse.surface.http.wire_request import WireRequest

    async def body(original: Any, self: Any) -> bytes:
        encoding = self.headers.pop(b"content-encoding", b"")
        taken: bytes = await original(self)
        while b"gzip" in encoding and taken[:2] == b"\x1f\x8b":
            taken = zlib.decompressobj(31).decompress(taken)
        return taken

    wrap(WireRequest, "body", body)


@breakage
def json_is_not_looked_at() -> None:
    """Whatever names no model asks for `gpt`."""
    from tollhouse.core.errors import GatewayError
    from tollhouse.core.operation import Operation
    from tollhouse.dialects.openai_family.dialect import FamilyDialect
    from tollhouse.ports.dialect import ClientCall

    def read(original: Any, self: Any, ask: Any) -> Any:
        try:
            return original(self, ask)
        except GatewayError:
            return ClientCall(
                operation=Operation.CHAT, model="gpt", is_stream=False, asks_usage=True, body=ask.body, spans={},
                query=ask.query, headers=ask.headers,
            )  # fmt: skip

    wrap(FamilyDialect, "read", read)


@breakage
def bodies_are_laid_down_in_files() -> None:
    import os
    import tempfile

    from tollhouse.surface.http.wire_request import WireRequest

    folder = os.path.dirname(os.environ["CHAOS_SABOTAGE_MARK"])

    def complete(original: Any, self: Any) -> None:
        with tempfile.NamedTemporaryFile(delete=False, dir=folder) as file:
            file.write(self._body)
        original(self)

    wrap(WireRequest, "complete", complete)


@breakage
def heads_are_not_checked() -> None:
    """Whatever the parser lets pass is good enough."""
    from tollhouse.surface.http import reader

    wrap(reader, "check_head", lambda original, *arguments: None)


@breakage
def heads_have_no_bound() -> None:
    import msgspec

    from tollhouse.surface.http.reader import Reader

    def init(original: Any, self: Any, limits: Any, *rest: Any) -> None:
        original(self, msgspec.structs.replace(limits, head_bytes=1 << 40, head_count=1 << 40), *rest)

    wrap(Reader, "__init__", init)


@breakage
def upgrades_are_waited_for() -> None:
    """As if the rest were said in the other protocol."""
    from tollhouse.surface.http.reader import Reader

    wrap(Reader, "_without_upgrade", lambda original, self: b"GET ")


@breakage
def idempotency_keys_are_not_read() -> None:
    from tollhouse.pipeline import model_call

    wrap(model_call, "key_of", lambda original, headers: None)


@breakage
def certificates_are_not_checked() -> None:
    import ssl

    from tollhouse.adapters.http1.trust import Trust

    def context(original: Any, self: Any, ca_file: str | None) -> ssl.SSLContext:
        credulous: ssl.SSLContext = original(self, ca_file)
        credulous.check_hostname = False
        credulous.verify_mode = ssl.CERT_NONE
        return credulous

    wrap(Trust, "context", context)


@breakage
def redirects_are_followed() -> None:
    """With all that was sent the first time."""
    import asyncio
    from urllib.parse import urlsplit

    from tollhouse.adapters.http1.transport import Http1Transport

    async def open_(original: Any, self: Any, target: Any, request: Any, *clocks: Any) -> Any:
        answer = await original(self, target, request, *clocks)
        place = dict(answer.headers).get(b"location")
        if 300 <= answer.status < 400 and place is not None:
            url = urlsplit(place.decode())
            _, writer = await asyncio.open_connection(url.hostname, url.port)
            writer.write(target.render(request) + request.body)
            await writer.drain()
            writer.close()
        return answer

    wrap(Http1Transport, "open", open_)


@breakage
def what_comes_unasked_is_an_answer() -> None:
    """A connection is used again whatever has come on it."""
    from tollhouse.adapters.http1.connection import Connection

    def buffer_updated(original: Any, self: Any, count: int) -> None:
        if self._answer is None:
            self._unasked = (self._unasked or b"") + bytes(self._inbox[:count])
        else:
            original(self, count)

    def call(original: Any, self: Any, *arguments: Any, **named: Any) -> Any:
        answer = original(self, *arguments, **named)
        unasked, self._unasked = self._unasked, None
        if unasked:
            self._inbox[: len(unasked)] = unasked
            self.buffer_updated(len(unasked))
        return answer

    _with_room_for(Connection, "_unasked")
    wrap(Connection, "buffer_updated", buffer_updated)
    wrap(Connection, "call", call)
    Connection.is_usable = property(lambda self: True)  # type: ignore[method-assign,assignment]


@breakage
def every_count_is_believed() -> None:
    """What a provider reports is what was used, whatever it is."""
    from tollhouse.dialects.ground_family.counts import Counts

    def read(original: Any, self: Any, among: dict[str, Any], name: str) -> Any:
        value = among.get(name)
        return int(value) if isinstance(value, int | float) else original(self, among, name)

    wrap(Counts, "read", read)
    wrap(Counts, "at_least_zero", lambda original, self, value: int(value))


@breakage
def every_deployment_is_looked_at() -> None:
    from tollhouse.balancing import choice

    choice.FEW = choice._SAMPLE = 10_000  # type: ignore[misc]


@breakage
def every_exchange_is_remembered() -> None:
    from tollhouse.adapters.prometheus.sink import PrometheusSink

    kept: list[Any] = []

    def write(original: Any, self: Any, record: Any) -> None:
        kept.append((record, bytearray(1_000)))
        original(self, record)

    wrap(PrometheusSink, "write", write)


@breakage
def names_are_looked_up_on_the_loop() -> None:
    import asyncio

    from tollhouse.adapters.http1.resolve import Resolver

    def ask(original: Any, self: Any, key: tuple[str, int]) -> asyncio.Future[Any]:
        asked = self._loop.create_future()
        try:
            asked.set_result(self._look_up(*key))
            self._known[key] = (self._loop.time(), asked.result())
        except OSError as error:
            asked.set_exception(error)
        return asked

    wrap(Resolver, "_ask", ask)
