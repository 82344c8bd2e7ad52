"""One upstream call for a key that is used at several workers: whoever is not first waits for the answer of the one who
is, and records it as its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from tollhouse.ports.reply import CallerGone
from tollhouse.ports.shared_answers import Entry, Found, SharedAnswers

from .book import LIFE_S, mismatch
from .tape import Tape, answer_gone

_BY_SDK: Final = re.compile(r"stainless-[a-z]+-retry-")
"""OpenAI's SDKs make a key of their own for each call, for their own repeats, which come within seconds."""
BRIEF_LIFE_S: Final = 600.0
_MOST_BYTES: Final = 8 * 1024 * 1024 + 64 * 1024
"""As much as a book keeps, and its headers."""
BRIEF_MOST_BYTES: Final = 64 * 1024
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25
_PAUSE_GROWTH: Final = 1.3
_MOST_FAILURES: Final = 3
_PATIENCE_S: Final = 15.0
"""How long who knows that the call is made elsewhere waits for a shelf that says nothing."""


class Elsewhere:
    """One exchange's dealings with the shelf, for the key that it was the first here to come with."""

    __slots__ = ("_answers", "_beat", "_beat_after_s", "_failures", "_is_made_here", "_tape", "_ticket")

    def __init__(
        self,
        answers: SharedAnswers,
        tape: Tape,
        *,
        tenant: str,
        key: str,
        fingerprint: bytes,
        exchange_id: str,
        beat: bytes,
        beat_after_s: float,
    ) -> None:
        """`beat` is the sign of life of a stream that has said nothing for `beat_after_s` seconds; 0 turns it off."""
        is_brief = _BY_SDK.match(key) is not None
        self._answers = answers
        self._tape = tape
        self._beat = beat
        self._beat_after_s = beat_after_s
        self._is_made_here = False
        self._failures = 0
        self._ticket = answers.ticket(
            tenant,
            key,
            fingerprint,
            exchange_id,
            BRIEF_LIFE_S if is_brief else LIFE_S,
            BRIEF_MOST_BYTES if is_brief else _MOST_BYTES,
        )

    async def has_answered(self, now: Callable[[], float]) -> bool:
        """Wait for what others make of the key and record it. False where the call is to be made here.

        `now` is the monotonic clock. Raises: GatewayError `idempotency_mismatch`, `idempotency_answer_gone`;
        CallerGone when nobody waits any more.
        """
        entry = await self._claim()
        if entry.found is Found.UNKNOWN:
            self._is_made_here = True
        else:
            await self._wait(entry, now)
        return not self._is_made_here

    async def _claim(self) -> Entry:
        self._ticket.head = self._tape.head
        entry = await self._answers.claim(self._ticket)
        self._is_made_here = entry.found is Found.FIRST
        return entry

    async def _wait(self, entry: Entry, now: Callable[[], float]) -> None:
        """Until the answer is recorded, or the call turns out to be this worker's after all."""
        pause_s = _FIRST_PAUSE_S
        known_at = beaten_at = now()
        while not self._is_made_here and not (
            entry.found is Found.ANSWERED and await self._has_copied(entry)
        ):
            _check(entry)
            if entry.found is Found.GOING_ON:
                known_at = now()
                self._note(entry)
            elif now() - known_at > _PATIENCE_S:
                raise answer_gone()
            if not self._tape.is_wanted:
                raise CallerGone
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * _PAUSE_GROWTH, _LONGEST_PAUSE_S)
            if self._beat_after_s and now() - beaten_at >= self._beat_after_s:
                beaten_at = now()
                self._tape.beat(self._beat)
            entry = await self._look()

    async def _look(self) -> Entry:
        """What the shelf says now; a key that has become free is claimed."""
        is_begun = self._tape.is_started
        entry = await self._answers.look(self._ticket, with_head=not is_begun and self._beat_after_s > 0)
        if entry.found is not Found.FREE or is_begun:
            return entry
        entry = await self._claim()
        if entry.found is Found.UNKNOWN:
            self._answers.free(self._ticket)  # another may have claimed it: nothing is made on a guess
        return entry

    def _note(self, entry: Entry) -> None:
        self._tape.exchange_id = entry.exchange_id
        if entry.head is not None:
            self._tape.begin_copy(entry.head)

    async def _has_copied(self, entry: Entry) -> bool:
        """Whether the answer could be had. Raises: GatewayError `idempotency_answer_gone`, when it cannot be again and
        again."""
        answer = await self._answers.take(self._ticket, entry)
        if answer is None:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                raise answer_gone()
            return False
        self._tape.exchange_id = entry.exchange_id
        self._tape.life_s = entry.left_s
        await self._tape.copy(answer)
        return True

    def settle(self, *, has_reached_an_upstream: bool) -> None:
        """The exchange is over, without an answer of others: tell the shelf what became of the call."""
        if not has_reached_an_upstream:
            self._answers.free(self._ticket)
            return
        answer = self._tape.answer()
        if answer is None:
            self._answers.lose(self._ticket)
        else:
            self._answers.put(self._ticket, answer)


def _check(entry: Entry) -> None:
    if entry.found is Found.MISMATCH:
        raise mismatch()
    if entry.found is Found.GONE:
        raise answer_gone()
