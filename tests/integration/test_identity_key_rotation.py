"""A provider that changes its keys: those before open nothing any more, the new ones do, and it is asked once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from oidc_provider import AUDIENCE, OidcProvider
from tollhouse.bootstrap.identity import KeyFetch, signing_keys
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.tokens import Issuer
from tollhouse.runtime.key_sets import EveryFewMinutes, KeySetPush
from tollhouse.runtime.link import KeySet
from tollhouse.stages.authenticate import TrustedIssuers

pytestmark = pytest.mark.slow


class Soon(EveryFewMinutes):
    unknown_s = 0.1


class Silent:
    def info(self, event: str, **_: object) -> None:
        """Nobody reads it."""

    warning = error = info


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.01)


def test_keys_that_a_provider_has_changed_are_fetched_when_a_token_names_one() -> None:
    async def go(provider: OidcProvider) -> None:
        names = {"name": "ci", "issuer": provider.issuer, "audiences": (AUDIENCE,)}
        issuers = TrustedIssuers(signing_keys)
        issuers.trust([Issuer(**names, algorithms=("RS256",))])
        told: list[KeySet] = []

        def tell(word: KeySet) -> None:
            told.append(word)
            issuers.learn(word.name, word.document, word.fetched_at, word.usable_until)

        push = KeySetPush(tell, time.time, cast("Any", Silent()), Soon())
        push.follow({"ci": KeyFetch(issuer=provider.issuer, url=None, file=None, ca_file=None)})
        watching = asyncio.create_task(push.watch())
        try:
            await until(lambda: bool(told))
            before = provider.mint(sub="before")
            assert issuers.identify(before.encode(), time.time()).key_id == "jwt:ci:before"
            provider.rotate()
            after = provider.mint(sub="after")
            for _ in range(100):
                with pytest.raises(GatewayError) as caught:
                    # As if the keys were known for half a minute.
                    issuers.identify(after.encode(), time.time() + 31)
                assert caught.value.kind is ErrorKind.AUTH_UNAVAILABLE
                for name in issuers.take_wanted():
                    push.want(name)
            await until(lambda: len(told) == 2)
            assert issuers.identify(after.encode(), time.time()).key_id == "jwt:ci:after"
            with pytest.raises(GatewayError) as caught:
                issuers.identify(before.encode(), time.time())
            assert caught.value.kind is ErrorKind.UNAUTHENTICATED
            assert provider.asked("/jwks") == 2
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    with OidcProvider() as provider:
        asyncio.run(go(provider))
