"""Names are looked up off the loop, once for all who ask, and remembered for a moment."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from tollhouse.adapters.http1.resolve import Address, Resolver, interleave, system_look_up

V4: Address = (socket.AF_INET, ("192.0.2.1", 443))
OTHER_V4: Address = (socket.AF_INET, ("192.0.2.2", 443))
V6: Address = (socket.AF_INET6, ("2001:db8::1", 443, 0, 0))
OTHER_V6: Address = (socket.AF_INET6, ("2001:db8::2", 443, 0, 0))


class Names:
    """A directory that counts, and can be out of order."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_down = False
        self.gate = threading.Event()
        self.gate.set()

    def look_up(self, host: str, port: int) -> list[Address]:
        self.asked += 1
        self.gate.wait(5)
        if self.is_down:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [V4]


class LoopClock:
    """The running loop with a time that can be moved on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.skipped_s = 0.0

    def time(self) -> float:
        return self._loop.time() + self.skipped_s

    def __getattr__(self, name: str) -> object:
        return getattr(self._loop, name)


def test_address_is_not_looked_up() -> None:
    async def scenario() -> None:
        names = Names()
        resolver = Resolver(asyncio.get_running_loop(), names.look_up)
        assert await resolver.addresses("127.0.0.1", 80) == [(socket.AF_INET, ("127.0.0.1", 80))]
        assert await resolver.addresses("::1", 80) == [(socket.AF_INET6, ("::1", 80, 0, 0))]
        assert names.asked == 0

    asyncio.run(scenario())


def test_name_is_looked_up_once_for_all_who_ask_at_once() -> None:
    async def scenario() -> None:
        names = Names()
        names.gate.clear()
        resolver = Resolver(asyncio.get_running_loop(), names.look_up)
        asking = [asyncio.create_task(resolver.addresses("api.example", 443)) for _ in range(50)]
        await asyncio.sleep(0.01)
        asking[0].cancel()
        await asyncio.sleep(0.01)
        names.gate.set()
        answers = await asyncio.gather(*asking[1:])
        assert answers == [[V4]] * 49
        assert names.asked == 1
        assert await resolver.addresses("api.example", 443) == [V4]
        assert names.asked == 1

    asyncio.run(scenario())


def test_name_is_looked_up_again_when_the_answer_is_no_longer_fresh() -> None:
    async def scenario() -> None:
        names, clock = Names(), LoopClock()
        resolver = Resolver(clock, names.look_up)  # type: ignore[arg-type]
        await resolver.addresses("api.example", 443)
        clock.skipped_s += 10.0
        await resolver.addresses("api.example", 443)
        assert names.asked == 2

    asyncio.run(scenario())


def test_last_good_answer_is_used_for_some_minutes_when_names_cannot_be_resolved() -> None:
    async def scenario() -> None:
        names, clock = Names(), LoopClock()
        resolver = Resolver(clock, names.look_up)  # type: ignore[arg-type]
        await resolver.addresses("api.example", 443)
        names.is_down = True
        clock.skipped_s += 200.0
        assert await resolver.addresses("api.example", 443) == [V4]
        clock.skipped_s += 200.0
        with pytest.raises(socket.gaierror):
            await resolver.addresses("api.example", 443)
        names.is_down = False
        assert await resolver.addresses("api.example", 443) == [V4]

    asyncio.run(scenario())


def test_last_good_answer_is_used_when_the_name_server_is_silent_and_the_next_one_is_remembered() -> None:
    async def scenario() -> None:
        names, clock = Names(), LoopClock()
        resolver = Resolver(clock, names.look_up)  # type: ignore[arg-type]
        await resolver.addresses("api.example", 443)
        names.gate.clear()
        clock.skipped_s += 10.0
        async with asyncio.timeout(2):
            assert await resolver.addresses("api.example", 443) == [V4]
            assert await resolver.addresses("api.example", 443) == [V4]
        assert names.asked == 2
        names.gate.set()
        await asyncio.sleep(0.05)
        assert await resolver.addresses("api.example", 443) == [V4]
        assert names.asked == 2

    asyncio.run(scenario())


def test_caller_who_waits_for_a_name_can_be_cut_by_a_clock_of_its_own() -> None:
    async def scenario() -> None:
        names, clock = Names(), LoopClock()
        resolver = Resolver(clock, names.look_up)  # type: ignore[arg-type]
        await resolver.addresses("api.example", 443)
        names.gate.clear()
        clock.skipped_s += 10.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await resolver.addresses("api.example", 443)
        names.gate.set()

    asyncio.run(scenario())


def test_memory_for_names_is_bounded() -> None:
    async def scenario() -> None:
        names = Names()
        resolver = Resolver(asyncio.get_running_loop(), names.look_up)
        for number in range(1_001):
            await resolver.addresses(f"n{number}.example", 443)
        await resolver.addresses("n1000.example", 443)
        assert names.asked == 1_001
        await resolver.addresses("n0.example", 443)
        assert names.asked == 1_002

    asyncio.run(scenario())


def test_families_take_turns_beginning_with_the_preferred_one() -> None:
    assert interleave([V6, OTHER_V6, V4, OTHER_V4]) == [V6, V4, OTHER_V6, OTHER_V4]
    assert interleave([V4, V6, OTHER_V6]) == [V4, V6, OTHER_V6]
    assert interleave([V4]) == [V4]
    assert interleave([]) == []
    assert len(interleave([V4] * 100)) == 16


def test_system_knows_this_machine() -> None:
    assert (socket.AF_INET, ("127.0.0.1", 80)) in system_look_up("localhost", 80)
