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
    from tollhouse.stages.translate.straight import Straight

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
