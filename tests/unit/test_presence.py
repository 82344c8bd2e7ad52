"""Exchanges whose key does not open any more are ended, once, and nobody else's."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from tollhouse.core.exchange import Outcome
from tollhouse.core.identity import Principal, VirtualKey
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Attempt, Passage
from tollhouse.core.pauses import Pause, PauseKind, Pauses
from tollhouse.core.routing import Candidate, Deployment
from tollhouse.core.secret import Secret
from tollhouse.pipeline import Presence
from tollhouse.stages.authenticate import Keyring, entries_of

NOW = 1_800_000_000.0
KEY = VirtualKey(id="key_1", name="one", digest="01" * 32)
OTHER = VirtualKey(id="key_2", name="two", digest="02" * 32, expires_at=NOW + 10)


class Inside:
    """Exchanges that go on, by the key they were let in with."""

    def __init__(self) -> None:
        self.keyring = Keyring(Secret("pepper"))
        self.keyring.learn([KEY, OTHER])
        self.presence = Presence()
        self.pauses = Pauses()
        self.ended: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def exchange(self, passage: Passage) -> None:
        self.presence.enter(passage)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if passage.ended_by is None:
                return  # the test is over
            self.ended.append(f"{passage.id}: {passage.ended_by.message}")
            await asyncio.sleep(0)  # last words take a moment, and are not cut short
            await asyncio.sleep(0)
            self.ended.append(f"{passage.id} over")
        finally:
            self.presence.leave(passage)

    async def begin(self, id_: str, key_id: str | None) -> Passage:
        passage = Passage(
            id=id_, accepted_at=NOW, accepted=0.0, operation=Operation.CHAT, door="", peer="", config=""
        )
        if key_id is not None:
            passage.principal = Principal(key_id=key_id, key_name="", team=None, routes=())
        self.tasks.append(asyncio.create_task(self.exchange(passage)))
        await asyncio.sleep(0)
        return passage

    async def look(self, now: float = NOW) -> None:
        self.presence.end_closed(self.keyring, self.pauses, now)
        for _ in range(4):
            await asyncio.sleep(0)


def test_exchanges_of_a_revoked_key_are_ended_and_all_others_go_on() -> None:
    async def run() -> None:
        inside = Inside()
        await inside.begin("a", "key_1")
        await inside.begin("b", "key_2")
        await inside.begin("c", "key_1")
        await inside.begin("stranger", None)
        await inside.begin("somebody without a key", "user_7")
        await inside.look()
        assert inside.ended == []
        inside.keyring.learn([replace(KEY, revoked_at=NOW, version=1)])
        await inside.look()
        assert sorted(inside.ended) == [
            "a over", "a: This key has been revoked.", "c over", "c: This key has been revoked.",
        ]  # fmt: skip
        assert (len(inside.presence), inside.presence.ended) == (3, 2)
        for task in inside.tasks:
            task.cancel()
        await asyncio.gather(*inside.tasks, return_exceptions=True)
        assert len(inside.presence) == 0

    asyncio.run(run())


def test_exchange_that_is_being_ended_is_left_in_peace() -> None:
    async def run() -> None:
        inside = Inside()
        await inside.begin("a", "key_1")
        inside.keyring.learn([replace(KEY, disabled_at=NOW, version=1)])
        for _ in range(3):
            inside.presence.end_closed(inside.keyring, inside.pauses, NOW)
            inside.keyring.learn([replace(KEY, disabled_at=NOW, version=1)])
            await asyncio.sleep(0)
        await asyncio.wait(inside.tasks)
        assert inside.ended == ["a: This key has been disabled.", "a over"]

    asyncio.run(run())


def test_exchange_is_ended_soon_after_its_key_expires() -> None:
    async def run() -> None:
        inside = Inside()
        await inside.begin("b", "key_2")
        now = NOW
        while not inside.ended:
            await inside.look(now)
            now += 0.5
            assert now < NOW + 15
        assert now >= NOW + 10
        assert inside.ended[0] == "b: This key has expired."

    asyncio.run(run())


def test_clock_that_is_put_back_does_not_keep_expired_keys_inside() -> None:
    async def run() -> None:
        inside = Inside()
        await inside.begin("b", "key_2")
        await inside.look(NOW)
        await inside.look(NOW - 3_600)
        await inside.look(NOW + 11)
        assert inside.ended

    asyncio.run(run())


def test_key_that_is_taken_out_of_the_configuration_ends_its_exchanges() -> None:
    async def run() -> None:
        inside = Inside()
        inside.keyring.declare(entries_of([replace(KEY, id="cfg-ci", digest="03" * 32)]))
        await inside.begin("a", "cfg-ci")
        await inside.look()
        inside.keyring.declare({})
        await inside.look()
        assert inside.ended[0] == "a: This key has been revoked."

    asyncio.run(run())


def test_answer_that_has_arrived_is_not_taken_back() -> None:
    async def run() -> None:
        inside = Inside()
        passage = await inside.begin("a", "key_1")
        passage.outcome = Outcome.OK
        inside.keyring.learn([replace(KEY, revoked_at=NOW, version=1)])
        await inside.look()
        assert (inside.ended, passage.ended_by) == ([], None)
        passage.ended_by = inside.keyring.why_closed("key_1", NOW)
        inside.tasks[0].cancel()
        await asyncio.wait(inside.tasks)

    asyncio.run(run())


def test_what_goes_through_something_that_is_paused_is_ended_and_all_others_go_on() -> None:
    async def run() -> None:
        inside = Inside()
        for id_, key_id in (
            ("by key", "key_2"),
            ("by team", "key_1"),
            ("by route", "key_1"),
            ("free", "key_1"),
        ):
            passage = await inside.begin(id_, key_id)
            if id_ == "by team":
                assert passage.principal is not None
                passage.principal = replace(passage.principal, team="search")
            passage.route = "gpt" if id_ == "by route" else "other"
        await inside.look()
        assert inside.ended == []
        pauses = (("key", "key_2"), ("team", "search"), ("route", "gpt"))
        inside.pauses.take([pause(kind, target) for kind, target in pauses], 1)
        await inside.look()
        assert sorted(line for line in inside.ended if line.endswith("over")) == [
            "by key over", "by route over", "by team over",
        ]  # fmt: skip
        assert len(inside.presence) == 1
        for task in inside.tasks:
            task.cancel()
        await asyncio.gather(*inside.tasks, return_exceptions=True)

    asyncio.run(run())


def test_exchange_that_goes_over_to_what_is_paused_is_ended_at_the_next_look() -> None:
    async def run() -> None:
        inside = Inside()
        passage = await inside.begin("a", "key_1")
        inside.pauses.take([pause("provider", "slow")], 1)
        await inside.look(NOW)
        assert inside.ended == []
        for name in ("fast", "slow"):
            candidate = Candidate(deployment=Deployment(id=f"{name}/m", provider=name, model="m"), model="m")
            passage.attempts.append(Attempt(len(passage.attempts) + 1, candidate, NOW, 0.0))
        passage.attempts[-1].outcome = Outcome.UPSTREAM_ERROR
        await inside.look(NOW + 2)
        assert inside.ended == [], "that attempt is over, and the next may go elsewhere"
        passage.attempts[-1].outcome = Outcome.OPEN
        await inside.look(NOW + 3)
        assert inside.ended == []
        await inside.look(NOW + 4)
        assert "has been paused" in inside.ended[0]
        for task in inside.tasks:
            task.cancel()
        await asyncio.gather(*inside.tasks, return_exceptions=True)

    asyncio.run(run())


def pause(kind: str, target: str) -> Pause:
    return Pause(id="p", kind=PauseKind(kind), target=target, reason="stop", by="root", at=NOW)
