"""When tokens are minted, how often, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tollhouse.adapters.credentials.tokens import BearerTokens, Token
from tollhouse.core.errors import ErrorKind
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Phase, TransportError
from tollhouse.testing import FakeClock


class Identity:
    """An identity service: counts, hesitates and fails as it is told."""

    def __init__(self, clock: FakeClock) -> None:
        self.minted = 0
        self.is_down = False
        self.lifetime_s = 3_600.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.tokens = BearerTokens(self.mint, clock, "login.example")
        self._clock = clock

    async def mint(self, deadline: float) -> Token:
        assert deadline > self._clock.monotonic()
        self.minted += 1
        number = self.minted
        await self.gate.wait()
        if self.is_down:
            raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, "it is down")
        return Token(value=Secret(f"t{number}"), lifetime_s=self.lifetime_s)

    async def header(self, within_s: float = 5.0) -> bytes:
        name, value = await self.tokens.header(self._clock.monotonic() + within_s)
        assert name == b"authorization"
        return value

    async def failure(self, within_s: float = 5.0) -> TransportError:
        with pytest.raises(TransportError) as caught:
            await self.header(within_s)
        assert caught.value.phase is Phase.NOT_SENT
        return caught.value


Scenario = Callable[[Identity, FakeClock], Awaitable[None]]


def run(scenario: Scenario) -> None:
    async def running() -> None:
        clock = FakeClock()
        await scenario(Identity(clock), clock)

    asyncio.run(running())


async def background() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_token_is_minted_once_for_all_who_wait() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        identity.gate.clear()
        callers = [asyncio.create_task(identity.header()) for _ in range(20)]
        await background()
        identity.gate.set()
        assert set(await asyncio.gather(*callers)) == {b"Bearer t1"}
        assert identity.minted == 1

    run(scenario)


def test_token_is_kept_until_little_of_its_life_is_left() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        await identity.header()
        clock.advance(3_299)
        assert await identity.header() == b"Bearer t1"
        await background()
        assert identity.minted == 1

    run(scenario)


def test_token_is_renewed_behind_the_callers_backs() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        await identity.header()
        clock.advance(3_301)
        identity.gate.clear()
        for _ in range(5):
            assert await identity.header() == b"Bearer t1"
            await background()
        assert identity.minted == 2
        identity.gate.set()
        await background()
        assert await identity.header() == b"Bearer t2"

    run(scenario)


def test_last_good_token_is_used_to_its_end_when_it_cannot_be_renewed() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        await identity.header()
        identity.is_down = True
        for _ in range(28):
            clock.advance(3_301 if identity.minted == 1 else 10)
            assert await identity.header() == b"Bearer t1"
            await background()
        assert 5 < identity.minted < 20
        clock.advance(30)
        assert str(await identity.failure()) == "it is down"

    run(scenario)


def test_token_is_not_used_at_the_very_end_of_its_life() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        await identity.header()
        clock.advance(3_591)
        assert await identity.header() == b"Bearer t2"

    run(scenario)


def test_short_lives_are_lived_to_the_half_at_least() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        identity.lifetime_s = 60.0
        await identity.header()
        clock.advance(29)
        await identity.header()
        await background()
        assert identity.minted == 1
        clock.advance(2)
        await identity.header()
        await background()
        assert identity.minted == 2

    run(scenario)


def test_service_that_fails_is_not_asked_again_at_once() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        identity.is_down = True
        for _ in range(10):
            assert (await identity.failure()).kind is ErrorKind.UPSTREAM_UNAVAILABLE
        assert identity.minted == 1
        clock.advance(1)
        await identity.failure()
        clock.advance(1)
        await identity.failure()
        assert identity.minted == 2
        identity.is_down = False
        clock.advance(1)
        assert await identity.header() == b"Bearer t3"

    run(scenario)


def test_caller_with_little_time_leaves_and_the_minting_goes_on() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        identity.gate.clear()
        assert (await identity.failure(within_s=0.01)).kind is ErrorKind.TIMEOUT_TOTAL
        impatient = asyncio.create_task(identity.header())
        await background()
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        identity.gate.set()
        assert await identity.header() == b"Bearer t1"

    run(scenario)


def test_minting_itself_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollhouse.adapters.credentials.tokens._MINT_S", 0.02)

    async def scenario(identity: Identity, clock: FakeClock) -> None:
        identity.gate.clear()
        error = await identity.failure()
        assert error.kind is ErrorKind.UPSTREAM_UNAVAILABLE
        assert "login.example" in str(error)

    run(scenario)


def test_refused_token_is_replaced_but_not_again_and_again() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        identity.tokens.doubt()
        await identity.header()
        identity.tokens.doubt()
        await background()
        assert identity.minted == 1
        clock.advance(61)
        for _ in range(3):
            identity.tokens.doubt()
            await background()
        assert identity.minted == 2
        assert await identity.header() == b"Bearer t2"

    run(scenario)


def test_token_and_the_one_before_it_are_kept_out_of_sight() -> None:
    async def scenario(identity: Identity, clock: FakeClock) -> None:
        assert identity.tokens.texts() == ()
        await identity.header()
        assert identity.tokens.texts() == ("t1",)
        for _ in range(2):
            clock.advance(3_600.0)
            await identity.header()
        assert identity.tokens.texts() == ("t3", "t2")

    run(scenario)
