"""Attempts, one after the other.

Each attempt's intent is in the journal before its first byte leaves. What may be tried again is decided by
`next_step`; nothing is ever tried again once content has gone to the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Final

from tollhouse.balancing import Permit, Refusal, Shut, Verdict
from tollhouse.config.snapshot import Upstream
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.exchange import AttemptIntent, Outcome
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Attempt, Passage
from tollhouse.core.routing import Candidate, Plan, Timeouts
from tollhouse.ports.clock import Clock
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import ClientCall, Reading
from tollhouse.ports.journal import Journal
from tollhouse.ports.meter import Meter
from tollhouse.ports.opened import Live, Whole
from tollhouse.ports.reply import CallerGone
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
from .next_step import Failure, askable, first_choice, is_final, next_step, soonest, verdict_of
from .quota import asked_wait_s, used_up_for_s
from .turnstile import Turnstile, nobody

_LARGEST_ANSWER_BYTES: Final = 64 * 1024 * 1024
_LARGEST_ERROR_BYTES: Final = 256 * 1024
_NEVER: Final = Refusal(Shut.OPEN, inf)


class Dispatcher:
    """Makes the upstream calls of one snapshot's exchanges. What it is given outlives it, the bindings excepted."""

    def __init__(
        self,
        transport: Transport,
        journal: Journal,
        clock: Clock,
        bindings: Mapping[str, Binding],
        turnstile: Turnstile,
    ) -> None:
        self._transport = transport
        self._journal = journal
        self._clock = clock
        self._bindings = bindings
        self._turnstile = turnstile

    def binding(self, provider: str) -> Binding | None:
        """The upstream configured under this name."""
        return self._bindings.get(provider)

    async def call(
        self,
        plan: Plan,
        call: ClientCall,
        passage: Passage,
        cross: Callable[[Candidate, Upstream], Awaitable[Crossing]],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Whole | Live:
        """The first good answer: held whole for unary calls; for streams begun, so far as it can be judged.

        `cross` makes the way to a candidate; once `is_wanted` says no, nothing more is begun. Raises: GatewayError of
        the last attempt, where there was one; CallerGone. Whoever gets a Live must close it.
        """
        trial = _Trial(plan, call.operation)
        while True:
            index, permit = await (
                self._first(trial) if trial.failure is None else self._next(trial, is_wanted)
            )
            outcome = None
            try:
                if not is_wanted():
                    raise CallerGone
                outcome = await self._try(trial, index, permit, call, passage, cross)
            finally:
                if outcome is None:
                    permit.end(Verdict.NEUTRAL, self._clock.monotonic())
            match outcome:
                case GatewayError():
                    # What one upstream cannot be told another may well be: nothing was sent, no attempt is spent.
                    permit.end(Verdict.NEUTRAL, self._clock.monotonic())
                    trial.untold[index] = outcome
                    trial.never[index] = _NEVER
                case Failure():
                    verdict = verdict_of(outcome, plan, plan.deadline - permit.began)
                    permit.end(verdict, self._clock.monotonic(), outcome.error.retry_after_s)
                    trial.tried.append(index)
                    trial.failure = outcome
                    if is_final(outcome, plan):
                        trial.never[index] = _NEVER
                case _:
                    return outcome

    async def _first(self, trial: _Trial) -> tuple[int, Permit]:
        """Who is called first, and the leave to. Raises: GatewayError."""
        plan, turnstile = trial.plan, self._turnstile
        if not trial.untold and plan.candidates[0].route == plan.route.name:
            # As a rule that is all there is to it.
            permit = turnstile.begin(plan.candidates[0], trial.kind, is_repeat=False)
            if permit is not None:
                return 0, permit
        while True:
            shut = turnstile.shut(plan, trial.kind)
            index = first_choice(plan, shut, trial.untold)
            if index is not None:
                permit = turnstile.begin(plan.candidates[index], trial.kind, is_repeat=False)
                if permit is not None:
                    return index, permit
                continue
            shut = {index: shut[index] for index in askable(plan, shut) if index not in trial.untold}
            if not shut:
                raise [*trial.untold.values()][-1]
            full = [each for each, refusal in shut.items() if refusal.why is Shut.FULL]
            if full:
                index = min(full, key=lambda each: turnstile.standing(plan.candidates[each]).waiting)
                permit = await turnstile.wait(plan.candidates[index], trial.kind, plan)
            else:
                index = soonest(shut)
                permit = turnstile.force(plan.candidates[index], trial.kind)
                if permit is None:
                    nobody(plan, shut, self._clock.monotonic())
            if permit is not None:
                return index, permit

    async def _next(self, trial: _Trial, is_wanted: Callable[[], bool]) -> tuple[int, Permit]:
        """Who is called after a failure, once it is time. Raises: GatewayError, that of the failure, where nothing is
        to be tried again."""
        plan, turnstile = trial.plan, self._turnstile
        assert trial.failure is not None
        while True:
            step = next_step(
                plan,
                trial.tried,
                trial.failure,
                shut=turnstile.shut(plan, trial.kind) | trial.never,
                may_repeat=lambda index: turnstile.standing(plan.candidates[index]).may_repeat(),
                now=self._clock.monotonic(),
                draw=self._clock.draw(),
            )
            if step is None:
                raise trial.failure.error
            if step.delay_s > 0:
                await asyncio.sleep(step.delay_s)
            if not is_wanted():
                raise CallerGone
            is_repeat = step.index in trial.tried
            permit = turnstile.begin(plan.candidates[step.index], trial.kind, is_repeat=is_repeat)
            if permit is not None:
                return step.index, permit

    async def _try(
        self,
        trial: _Trial,
        index: int,
        permit: Permit,
        call: ClientCall,
        passage: Passage,
        cross: Callable[[Candidate, Upstream], Awaitable[Crossing]],
    ) -> Whole | Live | Failure | GatewayError:
        """One attempt; a GatewayError where the candidate cannot even be told what is asked."""
        candidate = trial.plan.candidates[index]
        binding = self._bindings[candidate.deployment.provider]
        try:
            crossing = await cross(candidate, binding.upstream)
        except GatewayError as error:
            return error
        passage.dropped = crossing.dropped
        attempt = await self._begin(passage, candidate, crossing.added_tokens)
        try:
            outcome = await self._attempt(
                trial.plan, crossing, binding, passage, permit, is_stream=call.is_stream
            )
        except Exception:
            self._end(attempt, Outcome.INTERNAL, estimated=True)
            raise
        except BaseException:
            self._end(attempt, Outcome.CLIENT_GONE, estimated=True)
            raise
        if isinstance(outcome, Failure):
            self._note_failure(attempt, outcome)
        else:
            attempt.status = outcome.status
        return outcome

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
                live = RawAnswer(answer, binding, timeouts, self._clock, passage, meter)
                is_handed_on = True
                return live
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

    async def _begin(self, passage: Passage, candidate: Candidate, added_tokens: int = 0) -> Attempt:
        clock = self._clock
        if passage.cover is not None:
            await passage.cover(added_tokens)
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
        permit: Permit,
        *,
        is_stream: bool,
    ) -> Whole | Live | Failure:
        clock = self._clock
        started = clock.monotonic()
        timeouts = plan.timeouts
        answer: Answer | None = None
        is_handed_on = False
        try:
            answer = await self._transport.open(binding.target, crossing.request, timeouts, plan.deadline)
            self._heed(answer, permit)
            if not 200 <= answer.status < 300:
                return await self._refused(answer, crossing, binding, timeouts)
            check_plain(answer, binding)
            headers = carried(answer, binding, crossing.reply_type)
            if not is_stream:
                body, reading = crossing.whole(await read_whole(answer, _LARGEST_ANSWER_BYTES, binding))
                now = clock.monotonic()
                permit.heard(now)
                permit.end(Verdict.GOOD, now)
                return Whole(status=answer.status, headers=headers, body=body, reading=reading)
            stream = WatchedStream(answer, crossing.stream(), headers, binding, plan, clock, passage, permit)
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

    def _heed(self, answer: Answer, permit: Permit) -> None:
        """The provider may say that it takes nothing more for a while."""
        reset_s = used_up_for_s(answer.headers, self._clock.now())
        if reset_s is not None:
            permit.advised(self._clock.monotonic(), 0, reset_s)

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
        wait_s = asked_wait_s(retry_after, self._clock.now())
        if wait_s is not None:
            error.retry_after_s = wait_s  # a dialect knows no time, and cannot read dates
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


class _Trial:
    """One call's attempts so far."""

    __slots__ = ("failure", "kind", "never", "plan", "tried", "untold")

    def __init__(self, plan: Plan, kind: Operation) -> None:
        self.plan = plan
        self.kind = kind
        self.tried: list[int] = []
        """Places in the plan, in the order of the attempts."""
        self.untold: dict[int, GatewayError] = {}
        """Who cannot be told what is asked, and why."""
        self.never: dict[int, Refusal] = {}
        """Those, and who has failed in a way that asking again does not mend: as being shut for ever."""
        self.failure: Failure | None = None
        """The last attempt's."""
