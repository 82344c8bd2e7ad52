"""Issuers' keys are fetched often enough, never too often, and told to every worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from tollhouse.runtime.key_sets import EveryFewMinutes, KeySetPush, KeySetUnavailable
from tollhouse.runtime.link import KeySet
from tollhouse.runtime.seat import Seat

PATIENCE_S = 10.0


class Quick(EveryFewMinutes):
    refresh_s = 3_600.0
    unknown_s = 3_600.0


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **_: object) -> None:
        self.events.append(event)

    warning = error = info


class Issuer:
    """Publishes what a test says."""

    def __init__(self, *answers: bytes | str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> bytes:
        self.asked += 1
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, str):
            raise KeySetUnavailable(answer)
        return answer


class Rig:
    def __init__(self, pace: EveryFewMinutes) -> None:
        self.told: list[KeySet] = []
        self.log = Log()
        self.time = 1_800_000_000.0
        self.push = KeySetPush(self.told.append, lambda: self.time, cast("Any", self.log), pace)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.push.watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


def test_set_is_told_with_how_long_it_may_be_gone_by() -> None:
    async def go() -> None:
        rig, issuer = Rig(Quick()), Issuer(b"keys")
        rig.push.follow({"ci": issuer})
        assert rig.push.document("ci") is None
        async with rig.watching():
            await until(lambda: bool(rig.told))
        expected = KeySet(name="ci", document=b"keys", fetched_at=rig.time, usable_until=rig.time + 3_600)
        assert rig.told == [expected]
        assert rig.push.document("ci") == b"keys"
        rig.time += 3_600
        assert rig.push.document("ci") is None

    asyncio.run(go())


def test_new_worker_is_told_what_all_others_know() -> None:
    async def go() -> None:
        rig = Rig(Quick())
        rig.push.follow({"ci": Issuer(b"keys"), "down": Issuer("no")})
        async with rig.watching():
            await until(lambda: bool(rig.told))

        class NewSeat:
            heard: list[KeySet] = []  # noqa: RUF012

            def tell(self, word: KeySet) -> None:
                self.heard.append(word)

        rig.push.greet(cast("Seat", NewSeat()))
        assert NewSeat.heard == rig.told

    asyncio.run(go())


def test_unknown_keys_are_asked_for_once_in_a_while_however_many_come() -> None:
    async def go() -> None:
        rig, issuer = Rig(Quick()), Issuer(b"keys")
        rig.push.follow({"ci": issuer})
        async with rig.watching():
            await until(lambda: bool(rig.told))
            for _ in range(10_000):
                rig.push.want("ci")
                rig.push.want("nobody")
            await asyncio.sleep(1.2)
            assert issuer.asked == 1

    asyncio.run(go())


def test_unknown_key_is_asked_for_as_soon_as_it_may_be() -> None:
    class Soon(Quick):
        unknown_s = 0.1

    async def go() -> None:
        rig, issuer = Rig(Soon()), Issuer(b"old", b"new")
        rig.push.follow({"ci": issuer})
        async with rig.watching():
            await until(lambda: len(rig.told) == 1)
            rig.push.want("ci")
            await until(lambda: len(rig.told) == 2)
        assert [word.document for word in rig.told] == [b"old", b"new"]

    asyncio.run(go())


def test_issuer_that_is_down_is_asked_again_and_told_of_once() -> None:
    async def go() -> None:
        rig, issuer = Rig(Quick()), Issuer("down", "down", b"keys")
        rig.push.follow({"ci": issuer})
        async with rig.watching():
            await until(lambda: bool(rig.told))
        assert issuer.asked == 3
        assert rig.log.events == ["issuer_keys_unavailable", "issuer_keys_available"]

    asyncio.run(go())


def test_issuer_that_was_not_changed_by_a_reload_is_not_asked_again_and_one_that_was_is() -> None:
    async def go() -> None:
        rig, same, before, after = Rig(Quick()), Issuer(b"same"), Issuer(b"before"), Issuer(b"after")
        rig.push.follow({"same": same, "other": before})
        async with rig.watching():
            await until(lambda: len(rig.told) == 2)
            rig.push.follow({"same": same, "other": after})
            await until(lambda: len(rig.told) == 3)
        assert (same.asked, before.asked, after.asked) == (1, 1, 1)
        assert rig.push.document("other") == b"after"

    asyncio.run(go())
