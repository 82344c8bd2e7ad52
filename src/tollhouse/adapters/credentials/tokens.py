"""A bearer token that is always fresh: minted once for all who wait, renewed before it runs out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from tollhouse.core.errors import ErrorKind
from tollhouse.core.secret import Secret
from tollhouse.ports.clock import Clock
from tollhouse.ports.transport import Phase, TransportError

_RENEW_BEFORE_S: Final = 300.0
"""When so much is left, or half of a shorter life, the next token is minted while the old one is used."""
_MARGIN_S: Final = 10.0
"""So long before its end, or a tenth of a shorter life, a token is no longer sent: a request takes time."""
_MINT_S: Final = 10.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_DOUBTED_AFTER_S: Final = 60.0
_BEARER: Final = "Bearer "


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What an identity service granted."""

    value: Secret
    lifetime_s: float


Mint = Callable[[float], Awaitable[Token]]
"""Gets a token before a loop time. Raises: TransportError whose message shows no secret."""


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """A token in use; all times are monotonic."""

    header: Secret
    since: float
    renew_from: float
    usable_until: float


class BearerTokens:
    """Keeps the token of one identity. For one event loop."""

    def __init__(self, mint: Mint, clock: Clock, place: str) -> None:
        """`place` is what messages call the identity service."""
        self._mint = mint
        self._clock = clock
        self._place = place
        self._held: _Held | None = None
        self._before: _Held | None = None
        """What was held until lately: answers to what it opened may still be on their way."""
        self._minting: asyncio.Task[None] | None = None
        self._why = ""
        self._pause_s = 0.0
        self._not_before = float("-inf")

    def __repr__(self) -> str:
        return f"BearerTokens({self._place})"

    async def header(self, deadline: float) -> tuple[bytes, bytes]:
        """The `authorization` header. Waits only where there is no usable token.

        Raises: TransportError of phase `not_sent`: `upstream_unavailable` where none could be got, at once for some
        seconds after a failure; `timeout_total` where the deadline came first.
        """
        now = self._clock.monotonic()
        held = self._usable(now)
        if held is None:
            held = await self._wait(now, deadline)
        elif now >= held.renew_from:
            self._begin(now)
        return b"authorization", held.header.reveal().encode("ascii")

    def texts(self) -> tuple[str, ...]:
        """The tokens that upstreams have seen lately, without their `Bearer`."""
        held = [each for each in (self._held, self._before) if each is not None]
        return tuple([each.header.reveal().removeprefix(_BEARER) for each in held])

    def doubt(self) -> None:
        """The token was refused: another one is minted, unless it is so new that another would fare no better. Until
        it is there the old one is used, because the token may not be what the refusal was about."""
        held, now = self._held, self._clock.monotonic()
        if held is not None and now - held.since >= _DOUBTED_AFTER_S:
            self._begin(now)

    def _usable(self, now: float) -> _Held | None:
        held = self._held
        return held if held is not None and now < held.usable_until else None

    async def _wait(self, now: float, deadline: float) -> _Held:
        minting = self._begin(now)
        if minting is not None:
            scope = asyncio.timeout(deadline - now)
            try:
                async with scope:
                    await asyncio.shield(minting)
            except TimeoutError:
                if not scope.expired():
                    raise
                raise TransportError(
                    ErrorKind.TIMEOUT_TOTAL,
                    Phase.NOT_SENT,
                    f"{self._place} gave no token before the clock total_s ran out.",
                ) from None
        held = self._usable(self._clock.monotonic())
        if held is None:
            raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, self._why)
        return held

    def _begin(self, now: float) -> asyncio.Task[None] | None:
        """The minting under way, or a new one; None in the pause after a failure."""
        if self._minting is None and now >= self._not_before:
            self._minting = asyncio.create_task(self._renew(now))
        return self._minting

    async def _renew(self, now: float) -> None:
        try:
            async with asyncio.timeout(_MINT_S):
                token = await self._mint(now + _MINT_S)
        except TransportError as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed(f"{self._place} gave no token within {_MINT_S:g} s.")
        else:
            self._pause_s = 0.0
            life = token.lifetime_s
            end = now + life  # counted from before it was asked for: never later than its true end
            self._before = self._held
            self._held = _Held(
                header=Secret(_BEARER + token.value.reveal()),
                since=self._clock.monotonic(),
                renew_from=end - min(_RENEW_BEFORE_S, life / 2),
                usable_until=end - min(_MARGIN_S, life / 10),
            )
        finally:
            self._minting = None

    def _failed(self, why: str) -> None:
        self._why = why
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
        self._not_before = self._clock.monotonic() + self._pause_s
