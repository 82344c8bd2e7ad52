"""What a keeper does with the bank: open it again when it has forgotten, and close the accounts of workers that ended.

For the keeper's own loop. Everything may be done twice, and by two keepers at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import CountersUnavailable

from .counters import LEASE_S, NAMESPACE, bank_key
from .holdings import ttl_s
from .line import BankUnreachable, Line, check_url
from .messages import decode_list, encode_order

GRACE_S: Final = 2.0
"""Beyond a lease, so that the books have what was spent in its last moment, and clocks may differ a little."""
ANSWER_S: Final = 2.0
LOCK_S: Final = 30.0
AT_ONCE: Final = 500
"""Purses written by one script, so that nobody waits long for it."""
AGAIN_S: Final = 0.1
LONGEST_REST_S: Final = 1.0

_OPEN, _FROZEN, _WAIT, _BUSY, _LOST, _DONE, _MORE = range(7)

Sums = Mapping[tuple[str, str], int]
"""What the ledger says, in nano-USD, by purse and writer."""


class BankState(msgspec.Struct, frozen=True, kw_only=True):
    """How the bank is."""

    is_open: bool
    frozen_s: float
    """For how long it has been frozen."""
    owners: int
    """Workers that were heard of within a lease."""
    joined: int
    """Those that have told a frozen bank what they hold."""


class RedisTreasury:
    """One keeper's. All methods may raise CountersUnavailable: the server does not answer."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        namespace: str = NAMESPACE,
        lease_s: float = LEASE_S,
        grace_s: float = GRACE_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        """`lease_s` must be the workers'. Raises: ValueError for a wrong address."""
        check_url(url)
        self._url = url
        self._clock = clock
        self._bank = bank_key(namespace)
        self._lease_s = lease_s
        self._grace_s = grace_s
        self._answer_s = answer_s
        self._line: Line | None = None
        self._turn = asyncio.Lock()

    async def look(self) -> BankState:
        """Also lets the freeze begin where nobody has noticed yet that the bank has forgotten."""
        status, frozen_us, owners, joined = await self._order("look")
        return BankState(is_open=status == _OPEN, frozen_s=frozen_us / 1e6, owners=owners, joined=joined)

    async def rebuild(self, ledger: Callable[[], Awaitable[Sums]], *, is_new: bool = False) -> bool:
        """Open a frozen bank with what the ledger says, and what workers have told that they hold.

        Waits until whatever was handed out before has run out; only then is `ledger` asked, so that it has all that
        was spent of it. A new bank need not wait: that is `is_new`, to be said only when no worker of any replica can
        hold anything, because the ledger is empty and this is the first start of all.

        Returns: False where it was open already, or another keeper has opened it meanwhile.
        """
        token = self._clock.entropy(16).hex()
        wait_us = 0 if is_new else int((self._lease_s + self._grace_s) * 1e6)
        while True:
            status, rest_us = await self._order("begin", token, wait_us, int(LOCK_S * 1e6))
            if status == _OPEN:
                return False
            if status == _DONE:
                status = await self._write(token, await ledger(), is_new=is_new)
                if status in (_DONE, _OPEN):
                    return status == _DONE
                rest_us = 0
            await asyncio.sleep(min(LONGEST_REST_S, max(AGAIN_S / 10, rest_us / 1e6)))

    async def recover(self, owner: str, spent: Mapping[str, int]) -> None:
        """A worker is dead, and its journal is in the ledger to its end: `spent` is what that says, in nano-USD by
        purse. What it held beyond that is free again, and whatever it may still say is refused.

        Raises: CountersUnavailable also while the bank is frozen: do it again when it is open.
        """
        wall = self._clock.now()
        flat = ((purse, ttl_s(purse, wall), nanousd) for purse, nanousd in spent.items())
        for part in _parts(flat):
            self._check((await self._order("recover", owner, [field for row in part for field in row]))[0])
        await self._fold(owner, is_recovered=1)

    async def retire(self, owner: str) -> None:
        """A worker has ended well: its registers are put away. What it should still hold counts as spent.

        Raises: as `recover`.
        """
        await self._fold(owner, is_recovered=0)

    async def close(self) -> None:
        """Again does nothing."""
        if self._line is not None:
            await self._line.hang_up()
            self._line = None

    async def _write(self, token: str, sums: Sums, *, is_new: bool) -> int:
        """Returns: how it ended."""
        lock_us = int(LOCK_S * 1e6)
        for part in _parts(iter(_by_purse(sums).items())):
            wall = self._clock.now()
            flat = [field for purse, registers in part for field in (purse, ttl_s(purse, wall), registers)]
            status: int = (await self._order("put", token, lock_us, flat))[0]
            if status != _DONE:
                return status
        while True:
            status = (await self._order("commit", token, 1 if is_new else 0))[0]
            if status != _WAIT:
                return status
            await asyncio.sleep(AGAIN_S)
            await self._order("put", token, lock_us, [])

    async def _fold(self, owner: str, *, is_recovered: int) -> None:
        status = _MORE
        while status == _MORE:
            status = (await self._order("fold", owner, is_recovered, AT_ONCE))[0]
            self._check(status)

    def _check(self, status: int) -> None:
        if status == _FROZEN:
            raise CountersUnavailable("the bank is frozen and has to be rebuilt from the ledger first")

    async def _order(self, what: str, *arguments: Any) -> list[Any]:
        """Raises: CountersUnavailable."""
        async with self._turn:
            try:
                if self._line is not None:
                    with contextlib.suppress(BankUnreachable):
                        return await self._say(self._line, what, arguments)
                # A line that was idle may have died meanwhile, and every order may be given twice.
                self._line = Line(self._url, script="treasury.lua")
                await self._line.dial(self._answer_s)
                return await self._say(self._line, what, arguments)
            except BankUnreachable as error:
                self._line = None
                raise CountersUnavailable(str(error)) from None
            except asyncio.CancelledError:
                self._line = None  # it has hung up
                raise

    async def _say(self, line: Line, what: str, arguments: Sequence[Any]) -> list[Any]:
        """Raises: BankUnreachable."""
        order = encode_order(line.run_id, int(self._lease_s * 1e6), what, arguments)
        return decode_list(await line.run(self._bank, order, self._answer_s))


def _by_purse(sums: Sums) -> dict[str, list[str]]:
    """Each purse's writers and sums, flat; as text, which no number is too large for."""
    purses: dict[str, list[str]] = {}
    for (purse, writer), nanousd in sums.items():
        purses.setdefault(purse, []).extend((writer, str(nanousd)))
    return purses


def _parts(rows: Iterator[Any]) -> Iterator[Sequence[Any]]:
    while part := list(islice(rows, AT_ONCE)):
        yield part
