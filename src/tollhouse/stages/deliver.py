"""Bytes to the caller as they come, and the exact moment it stops being possible to change one's mind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tollhouse.core.errors import GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.limits import Counter, CounterKind, Left
from tollhouse.core.passage import Passage
from tollhouse.ports.clock import Clock
from tollhouse.ports.opened import Live, Whole
from tollhouse.ports.reply import HeaderList, Reply


def deliver_whole(whole: Whole, reply: Reply, headers: HeaderList, passage: Passage, clock: Clock) -> None:
    """The judged answer in one piece."""
    passage.usage = whole.reading.usage
    passage.finish_reason = whole.reading.finish_reason
    passage.first_byte = clock.monotonic()
    passage.status = whole.status
    passage.response_bytes = len(whole.body)
    reply.send(whole.status, [*whole.headers, *headers], whole.body)


async def deliver_live(live: Live, reply: Reply, headers: HeaderList, passage: Passage, clock: Clock) -> None:
    """Frames as they come, to the proper end. Closes `live` in every case.

    Heartbeats may have started the answer: then its status, its headers and the stream's opening have gone out, and
    what else has become known for its headers is lost to them.

    What is known of the answer is in the passage also when it ends badly, and everything that came before the fault
    has gone out. Raises: GatewayError, CallerTooSlow.
    """
    try:
        data = await live.next()
        passage.first_byte = clock.monotonic()
        if reply.is_started:
            data = _after_opening(data, passage)
        else:
            passage.status = live.status
            reply.start(live.status, [*live.headers, *headers])
        while data:
            passage.response_bytes += len(data)
            await reply.write(data)
            data = await live.next()
        reply.end()
        passage.outcome = Outcome.OK  # whatever happens from here on, the caller has the whole answer
        await live.finish()
    except Exception:
        if live.salvage and reply.is_started:
            salvage = _after_opening(live.salvage, passage)
            passage.response_bytes += len(salvage)
            await reply.write(salvage)
        raise
    finally:
        live.close()
        passage.usage = live.reading.usage
        passage.finish_reason = live.reading.finish_reason


def _after_opening(data: bytes, passage: Passage) -> bytes:
    """The next bytes of an answer that has started: before the first of them, heartbeats have sent the opening."""
    return data if passage.response_bytes else data.removeprefix(passage.stream_kind.opening)


def deliver_ours(body: bytes, reply: Reply, headers: HeaderList, passage: Passage, clock: Clock) -> None:
    """An answer of the house itself, in JSON."""
    passage.first_byte = clock.monotonic()
    passage.status = 200
    passage.response_bytes = len(body)
    reply.send(200, [(b"content-type", b"application/json"), *headers], body)


_REQUEST_IDS: Final = {"anthropic_messages": b"request-id", "bedrock_converse": b"x-amzn-requestid"}
"""Where the SDKs of some dialects look for the request's id, beside `x-request-id`."""


UNBUFFERED: Final = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""What keeps what lies between from holding a stream back."""


def early_headers(passage: Passage) -> HeaderList:
    """Headers of a stream that starts with a heartbeat, before any upstream has answered: which one will, in how many
    attempts and what it cannot be told is not known yet, and therefore not said."""
    return [(b"content-type", passage.stream_kind.content_type), *_known_headers(passage), *UNBUFFERED]


def answer_headers(passage: Passage, clock: Clock) -> HeaderList:
    """What every answer tells about its way through the house."""
    overhead_ms = (clock.monotonic() - passage.accepted - passage.upstream_s) * 1000
    headers = _known_headers(passage)
    headers.append((b"x-tollhouse-overhead-ms", b"%.3f" % overhead_ms))
    if passage.attempts:
        deployment = passage.attempts[-1].candidate.deployment
        headers.append((b"x-tollhouse-deployment", deployment.id.encode()))
        headers.append((b"x-tollhouse-attempts", b"%d" % len(passage.attempts)))
        if not passage.is_stream and passage.is_answered:
            headers.append((b"x-tollhouse-cost-usd", _usd(passage.cost_nanousd)))
    return headers


def _known_headers(passage: Passage) -> HeaderList:
    """What is known of a call from the moment its way is planned."""
    headers = [
        (b"x-request-id", passage.id.encode()),
        (b"x-tollhouse-config", passage.config.encode()),
    ]
    name = _REQUEST_IDS.get(passage.dialect)
    if name is not None:
        headers.append((name, passage.id.encode()))
    if passage.route is not None:
        headers.append((b"x-tollhouse-route", passage.route.encode()))
    lease = passage.lease
    if lease is not None:
        left = lease.left
        headers += _limits([(charge.counter, left[charge.counter.id]) for charge in lease.charges])
    return headers


def _usd(nanousd: int | None) -> bytes:
    """To the nano-USD; a word where it is not known."""
    return b"unknown" if nanousd is None else b"%d.%09d" % divmod(nanousd, 1_000_000_000)


def _limits(found: Iterable[tuple[Counter, Left]]) -> HeaderList:
    """The tightest limit on requests and the tightest on tokens, in the words that SDKs read."""
    headers: HeaderList = []
    tightest: dict[bytes, tuple[int, int, float]] = {}
    for counter, left in found:
        if counter.kind is CounterKind.WINDOW:
            what = b"requests" if counter.what.startswith("requests") else b"tokens"
            this = (left.amount, counter.limit, left.resets_s or 0.0)
            tightest[what] = min(tightest.get(what, this), this)
    for what, (left_amount, limit, resets_s) in tightest.items():
        headers += [
            (b"x-ratelimit-limit-" + what, b"%d" % limit),
            (b"x-ratelimit-remaining-" + what, b"%d" % left_amount),
            (b"x-ratelimit-reset-" + what, b"%.3fs" % resets_s),
        ]
    return headers


def error_headers(error: GatewayError, passage: Passage, clock: Clock) -> HeaderList:
    """The same for an error: when to try again, and whether it is worth it."""
    headers = [(b"content-type", b"application/json"), *answer_headers(passage, clock)]
    upstream = error.upstream
    if upstream is not None and upstream.retry_after is not None:
        headers.append((b"retry-after", upstream.retry_after.encode("latin-1", "replace")))
    elif error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % -(-error.retry_after_s // 1)))
    if error.short_of is not None and passage.lease is None:
        headers += _limits([error.short_of])
    if error.is_retried_in_vain:
        headers.append((b"x-should-retry", b"false"))
    return headers
