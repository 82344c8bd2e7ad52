"""Records to fill books and journals with."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tollhouse.core.exchange import (
    AttemptIntent,
    AttemptRecord,
    AuthEvent,
    Caller,
    ExchangeRecord,
    Outcome,
    Settlement,
)
from tollhouse.core.identity import VirtualKey
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage
from tollhouse.ports.store import FeedBatch, FeedPosition

AT = 1_760_000_000.25
DAY_S = 86_400.0


def exchange_id(number: int) -> str:
    return f"req_{number:08d}"


def opened(number: int, **more: Any) -> ExchangeRecord:
    """An exchange as it stands when its first intent is written."""
    plain = ExchangeRecord(
        id=exchange_id(number),
        at=AT + number,
        operation=Operation.CHAT,
        door="POST /v1/chat/completions",
        caller=Caller(key_id="key_1", key_name="ci", team="search", peer="127.0.0.1"),
        route="gpt",
        model="gpt",
        config="c0ffee",
    )
    return replace(plain, **more)


def attempt(number: int = 1, **more: Any) -> AttemptRecord:
    plain = AttemptRecord(number=number, deployment="up/mock", provider="up", model="mock", at=AT)
    return replace(plain, **more)


def settled(number: int, *, tries: int = 1, **more: Any) -> ExchangeRecord:
    """The same exchange when it has ended well."""
    made = tuple(attempt(n, outcome=Outcome.OK, status=200, duration_s=0.5) for n in range(1, tries + 1))
    return opened(
        number,
        **{
            "outcome": Outcome.OK,
            "status": 200,
            "deployment": "up/mock",
            "provider": "up",
            "attempts": made,
            "usage": Usage(input_uncached_tokens=10, output_text_tokens=5),
            "cost_nanousd": 1_000,
            "duration_s": 0.5,
        }
        | more,
    )


def intent(number: int, attempt_number: int = 1) -> AttemptIntent:
    return AttemptIntent(exchange=opened(number), attempt=attempt(attempt_number))


def settlement(number: int, *, tries: int = 1) -> Settlement:
    return Settlement(exchange=settled(number, tries=tries))


def auth_event(at: float = AT, **more: Any) -> AuthEvent:
    plain = AuthEvent(at=at, outcome="unauthenticated", key_id=None, hint="sk…", peer="127.0.0.1")
    return replace(plain, **more)


def key(number: int, **more: Any) -> VirtualKey:
    plain = VirtualKey(
        id=f"key_{number}",
        name=f"name {number}",
        digest=f"{number:064x}",
        routes=("gpt", "o*"),
        created_at=AT + number,
    )
    return replace(plain, **more)


def batch(
    *exchanges: ExchangeRecord,
    at: int | None = None,
    segment: str = "w-000001.journal",
    auth_events: tuple[AuthEvent, ...] = (),
) -> FeedBatch:
    """A batch of writer `w`, read up to the offset `at`."""
    return FeedBatch(
        writer="w",
        position=None if at is None else FeedPosition(segment=segment, offset_bytes=at),
        exchanges=exchanges,
        auth_events=auth_events,
    )
