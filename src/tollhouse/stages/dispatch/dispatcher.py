"""Attempts, one after the other.

Each attempt's intent is in the journal before its first byte leaves. What may be tried again is decided by
`next_step`; nothing is ever tried again once content has gone to the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.exchange import AttemptIntent, Outcome
from tollhouse.core.passage import Attempt, Passage
from tollhouse.core.routing import Candidate, Plan, Timeouts
from tollhouse.ports.clock import Clock
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import ClientCall, Reading
from tollhouse.ports.journal import Journal
from tollhouse.ports.meter import Meter
from tollhouse.ports.opened import Live, Whole
from tollhouse.ports.transport import Answer, Phase, Transport, TransportError, UpstreamRequest

from .answers import (
    Binding,
    RawAnswer,
    WatchedStream,
    carried,
    carried_through,
    check_plain,
    explained,
    has_type,
    header,
    invalid,
    looks_like_events,
    read_whole,
    scrubbed,
    without_secrets,
)
from .next_step import Failure, next_step

_LARGEST_ANSWER_BYTES: Final = 64 * 1024 * 1024
_LARGEST_ERROR_BYTES: Final = 256 * 1024


class Dispatcher:
    """Makes upstream calls for exchanges. One per serving process."""

    def __init__(
        self, transport: Transport, journal: Journal, clock: Clock, bindings: Mapping[str, Binding]
    ) -> None:
        self._transport = transport
        self._journal = journal
        self._clock = clock
        self._bindings = bindings

    def binding(self, provider: str) -> Binding | None:
        """The upstream configured under this name."""
        return self._bindings.get(provider)

    async def call(
        self,
        plan: Plan,
        call: ClientCall,
        passage: Passage,
        cross: Callable[[Candidate, Upstream], Awaitable[Crossing]],
    ) -> Whole | Live:
        """The first good answer: held whole for unary calls; for streams begun, so far as it can be judged.

        `cross` makes the way to a candidate. Raises: GatewayError of the last attempt, where there was one. Whoever
        gets a Live must close it.
        """
        index = 0
        last: tuple[int, Failure] | None = None
        while True:
            candidate = plan.candidates[index]
            binding = self._bindings[candidate.deployment.provider]
            try:
                crossing = await cross(candidate, binding.upstream)
            except GatewayError as error:
                # What one upstream cannot be told another may well be: nothing was sent, so no attempt is spent.
                plan = _without(plan, index)
                if not plan.candidates:
                    raise (last[1].error if last is not None else error) from None
                if last is not None:
                    last = ((last[0] - (last[0] >= index)) % len(plan.candidates), last[1])
                    index = await self._following(plan, passage, *last)
                continue
            passage.dropped = crossing.dropped
            attempt = await self._begin(passage, candidate)
            outcome: Whole | Live | Failure
            try:
                outcome = await self._attempt(plan, crossing, binding, passage, is_stream=call.is_stream)
            except Exception:
                self._end(attempt, Outcome.INTERNAL, estimated=True)
                raise
            except BaseException:
                self._end(attempt, Outcome.CLIENT_GONE, estimated=True)
                raise
            if not isinstance(outcome, Failure):
                attempt.status = outcome.status
                return outcome
            self._note_failure(attempt, outcome)
            last = (index, outcome)
            index = await self._following(plan, passage, index, outcome)

    async def _following(self, plan: Plan, passage: Passage, index: int, failure: Failure) -> int:
        """The candidate to try after the one at `index` has failed, once it is time. Raises: GatewayError, that of the
        failure, where nothing is to be tried again."""
        now = self._clock.monotonic()
        step = next_step(plan, len(passage.attempts), index, failure, now=now, draw=self._clock.draw())
        if step is None:
            raise failure.error
        if step.delay_s > 0:
            await asyncio.sleep(step.delay_s)
        return step.index

    async def pass_on(
        self,
        candidate: Candidate,
        request: UpstreamRequest,
        passage: Passage,
        timeouts: Timeouts,
        deadline: float,
        meter: Meter | None = None,
    ) -> Whole | Live:
        """One call to a provider's own path; its answer goes out as it is, read by the meter, or whole where it is an
        error, which may repeat our credential. Never repeated. Raises: GatewayError."""
        binding = self._bindings[candidate.deployment.provider]
        attempt = await self._begin(passage, candidate)
        started = self._clock.monotonic()
        answer: Answer | None = None
        is_handed_on = False
        try:
            answer = await self._transport.open(binding.target, request, timeouts, deadline)
            attempt.status = answer.status
            if answer.status < 400:
                is_handed_on = True
                return RawAnswer(answer, binding, timeouts, self._clock, passage, meter)
            answer.expect(ErrorKind.TIMEOUT_IDLE, self._clock.monotonic() + timeouts.idle_s)
            body = without_secrets(await read_whole(answer, _LARGEST_ERROR_BYTES, binding), binding.secrets())
            headers = carried_through(answer, binding)
            return Whole(status=answer.status, headers=headers, body=body, reading=Reading())
        except TransportError as error:
            failure = Failure(error=explained(error, binding.upstream), phase=error.phase)
            self._note_failure(attempt, failure)
            raise failure.error from error
        except asyncio.CancelledError:
            self._end(attempt, Outcome.CLIENT_GONE, estimated=True)
            raise
        finally:
            passage.upstream_s += self._clock.monotonic() - started
            if answer is not None and not is_handed_on:
                answer.close()

    async def _begin(self, passage: Passage, candidate: Candidate) -> Attempt:
        clock = self._clock
        attempt = passage.begin_attempt(candidate, clock.now(), clock.monotonic())
        try:
            await self._journal.write_ahead(
                AttemptIntent(exchange=passage.record(), attempt=attempt.record())
            )
        except GatewayError:
            passage.attempts.pop()  # nothing was written and nothing will be sent: there was no attempt
            raise
        except BaseException:
            self._end(attempt, Outcome.CLIENT_GONE, estimated=False)  # written, but not sent
            raise
        return attempt

    async def _attempt(
        self,
        plan: Plan,
        crossing: Crossing,
        binding: Binding,
        passage: Passage,
        *,
        is_stream: bool,
    ) -> Whole | Live | Failure:
        clock = self._clock
        started = clock.monotonic()
        timeouts = plan.route.timeouts
        answer: Answer | None = None
        is_handed_on = False
        try:
            answer = await self._transport.open(binding.target, crossing.request, timeouts, plan.deadline)
            if not 200 <= answer.status < 300:
                return await self._refused(answer, crossing, binding, timeouts)
            check_plain(answer, binding)
            headers = carried(answer, binding, crossing.reply_type)
            if not is_stream:
                body, reading = crossing.whole(await read_whole(answer, _LARGEST_ANSWER_BYTES, binding))
                return Whole(status=answer.status, headers=headers, body=body, reading=reading)
            stream = WatchedStream(answer, crossing.stream(), headers, binding, timeouts, clock, passage)
            if not has_type(answer, crossing.stream_type):
                await self._expect_events(answer, stream, crossing, binding)
            await stream.begin(hold_preamble=len(plan.candidates) > 1)
            is_handed_on = True
            return stream
        except TransportError as error:
            return Failure(error=explained(error, binding.upstream), phase=error.phase)
        except GatewayError as error:
            return Failure(error=scrubbed(error, binding.secrets()), phase=Phase.STARTED)
        finally:
            passage.upstream_s += clock.monotonic() - started
            if answer is not None and not is_handed_on:
                answer.close()

    async def _refused(
        self, answer: Answer, crossing: Crossing, binding: Binding, timeouts: Timeouts
    ) -> Failure:
        """The upstream answered with an error: what it means, in its own words."""
        secrets = binding.secrets()
        answer.expect(ErrorKind.TIMEOUT_IDLE, self._clock.monotonic() + timeouts.idle_s)
        try:
            # Taken out before it is read: a message that is cut short may keep half of a secret.
            body = without_secrets(await read_whole(answer, _LARGEST_ERROR_BYTES, binding), secrets)
        except (TransportError, GatewayError):
            body = b""  # the status alone says enough
        retry_after = header(answer, b"retry-after")
        error = crossing.refusal(
            answer.status, body, retry_after.decode("latin-1") if retry_after is not None else None
        )
        return Failure(error=scrubbed(error, secrets), phase=Phase.STARTED, status=answer.status)

    async def _expect_events(
        self, answer: Answer, stream: WatchedStream, crossing: Crossing, binding: Binding
    ) -> None:
        """200 under another content type: events all the same, or an error in plain JSON whose words are worth keeping.

        Raises: GatewayError, TransportError.
        """
        first = await answer.read()
        if looks_like_events(first):
            stream.put_back(first, crossing.reply_type)
            return
        crossing.whole(first + await read_whole(answer, _LARGEST_ERROR_BYTES, binding))
        raise invalid(binding, "answered a request for a stream with a whole answer")

    def _note_failure(self, attempt: Attempt, failure: Failure) -> None:
        error = failure.error
        attempt.error = error.kind.value
        attempt.status = failure.status
        is_timeout = error.kind.is_timeout
        uncertain = failure.status is None and failure.phase is not Phase.NOT_SENT
        self._end(attempt, Outcome.TIMEOUT if is_timeout else Outcome.UPSTREAM_ERROR, estimated=uncertain)

    def _end(self, attempt: Attempt, outcome: Outcome, *, estimated: bool) -> None:
        attempt.outcome = outcome
        attempt.is_estimated = estimated
        attempt.duration_s = self._clock.monotonic() - attempt.started


def _without(plan: Plan, index: int) -> Plan:
    candidates = plan.candidates[:index] + plan.candidates[index + 1 :]
    return msgspec.structs.replace(plan, candidates=candidates)
