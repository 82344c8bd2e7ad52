"""What a gateway adds to one small request when nothing else is going on, and how soon it answers after its start."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

from .bodies import ANSWER_TEXT, REQUEST, http_request
from .http_client import Answer, Connection, connect
from .problems import RunVoid
from .processes import Running
from .records import Latency

_BLOCK: Final = 50
"""Calls on one side before it is the other's turn: drift of the machine meets both sides alike."""
_CALL_LIMIT_S: Final = 10.0
_TOTAL_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.005


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value at or below which `share` (0 to 1) of the values lie, by the nearest rank."""
    rank = max(0, -(-len(sorted_values) * share // 1) - 1)
    return sorted_values[int(rank)]


def require_right(answer: Answer) -> None:
    """Raises RunVoid unless it is the upstream's chat completion."""
    if answer.status != 200:
        raise RunVoid(f"status {answer.status} instead of 200: {answer.body[:500]!r}")
    try:
        text = json.loads(answer.body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as reason:
        raise RunVoid(f"an answer that is no chat completion: {answer.body[:500]!r}") from reason
    if text != ANSWER_TEXT:
        raise RunVoid(f"another text than the upstream sent: {text!r}")


def added_latency(*, upstream: int, gateway: int, key: str, calls: int) -> Latency:
    """Ask both in turns. Raises RunVoid on a wrong answer; OSError on a broken or stuck connection.

    Ends early, with fewer calls, after 60 s.
    """
    until = time.monotonic() + _TOTAL_LIMIT_S
    direct_ms: list[float] = []
    through_ms: list[float] = []
    with (
        connect(upstream, limit_s=_CALL_LIMIT_S) as to_upstream,
        connect(gateway, limit_s=_CALL_LIMIT_S) as to_gateway,
    ):
        sides = (
            (to_upstream, http_request(REQUEST, port=upstream, key=key), direct_ms),
            (to_gateway, http_request(REQUEST, port=gateway, key=key), through_ms),
        )
        for connection, request, _ in sides:
            _block(connection, request)  # warm
        while len(through_ms) < calls and time.monotonic() < until:
            for connection, request, times_ms in sides:
                times_ms.extend(_block(connection, request))
    direct_ms.sort()
    through_ms.sort()
    return Latency(
        calls=len(through_ms),
        direct_p50_ms=percentile(direct_ms, 0.5),
        direct_p99_ms=percentile(direct_ms, 0.99),
        through_p50_ms=percentile(through_ms, 0.5),
        through_p99_ms=percentile(through_ms, 0.99),
    )


def _block(connection: Connection, request: bytes) -> list[float]:
    answers = [connection.ask(request) for _ in range(_BLOCK)]
    for answer in answers:
        require_right(answer)
    return [answer.elapsed_ms for answer in answers]


def first_answer(running: Running, *, port: int, key: str, limit_s: float) -> float:
    """Seconds from the start of the program to its first right answer, asked for every 5 ms.

    Raises RunVoid when the program ends, or does not answer with 200 within `limit_s`, or answers 200 wrongly.
    """
    request = http_request(REQUEST, port=port, key=key)
    seen = "no connection was accepted"
    while time.perf_counter() - running.started < limit_s:
        running.require_alive()
        try:
            with connect(port, limit_s=_CALL_LIMIT_S) as connection:
                answer = connection.ask(request)
        except OSError as reason:
            seen = str(reason)
        else:
            if answer.status == 200:
                elapsed_s = time.perf_counter() - running.started
                require_right(answer)
                return elapsed_s
            seen = f"status {answer.status}: {answer.body[:300]!r}"
        time.sleep(_POLL_S)
    raise RunVoid(f"no right answer within {limit_s:g} s (last: {seen}); last words:\n{running.last_words()}")
