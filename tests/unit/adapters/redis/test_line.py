"""Addresses, and what is said about a server: never where it is, or how to get in."""

from __future__ import annotations

import asyncio

import pytest

from tollhouse.adapters.redis import BankUnreachable, RedisCounters, RedisNews, RedisTreasury
from tollhouse.adapters.redis.line import Line, script_text
from tollhouse.core.limits import Charge, Counter, CounterKind, Lease
from tollhouse.ports.counters import CountersUnavailable
from tollhouse.testing import FakeClock, refused_port

SECRET = "hush-hush"


@pytest.mark.parametrize("make", [RedisTreasury, RedisNews])
def test_a_wrong_address_is_refused_when_it_is_read(make: type[RedisTreasury]) -> None:
    with pytest.raises(ValueError, match="redis://"):
        make("postgresql://localhost", FakeClock())
    with pytest.raises(ValueError, match="redis://"):
        RedisCounters("localhost:6379", "worker", FakeClock())


def test_an_error_names_neither_host_nor_password() -> None:
    async def dial() -> str:
        with pytest.raises(BankUnreachable) as unreachable:
            await Line(f"redis://user:{SECRET}@localhost:{port}/0").dial(2.0)
        return str(unreachable.value)

    with refused_port() as port:
        said = asyncio.run(dial())
    assert SECRET not in said
    assert "localhost" not in said
    assert str(port) not in said


def test_counters_without_a_server_start_at_once_and_go_by_shares() -> None:
    async def play() -> None:
        with refused_port() as port:
            counters = RedisCounters(f"redis://:{SECRET}@localhost:{port}", "worker", FakeClock(), owners=2)
            await counters.start()
            rate = Counter(id="window/key:a/requests", kind=CounterKind.WINDOW, limit=4)
            money = Counter(id="purse/key:a/total/total", kind=CounterKind.PURSE, limit=4)
            assert isinstance(await counters.reserve([Charge(rate, 2)]), Lease)
            with pytest.raises(CountersUnavailable) as why:
                await counters.reserve([Charge(money, 1)])
            assert SECRET not in str(why.value)
            assert SECRET not in repr(counters.standing)
            await counters.close()

    asyncio.run(play())


def test_counters_that_were_never_started_can_be_closed() -> None:
    async def play() -> None:
        counters = RedisCounters("redis://localhost", "worker", FakeClock())
        await counters.close()

    asyncio.run(play())


@pytest.mark.parametrize("name", ["bank.lua", "treasury.lua"])
def test_scripts_are_part_of_the_package(name: str) -> None:
    assert "cmsgpack" in script_text(name)
