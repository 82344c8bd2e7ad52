"""Bytes to the caller as they come, and the exact moment it stops being possible to change one's mind."""

from __future__ import annotations

from tollhouse.core.exchange import Outcome
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

    What is known of the answer is in the passage also when it ends badly, and everything that came before the fault
    has gone out. Raises: GatewayError, CallerTooSlow.
    """
    try:
        data = await live.next()
        passage.first_byte = clock.monotonic()
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
            passage.response_bytes += len(live.salvage)
            await reply.write(live.salvage)
        raise
    finally:
        live.close()
        passage.usage = live.reading.usage
        passage.finish_reason = live.reading.finish_reason
