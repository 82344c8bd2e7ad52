"""A word that may as well be lost: it never waits, and never piles up before an end that does not read."""

from __future__ import annotations

import asyncio
import socket

from tollhouse.runtime.link import Alive, Link, Ready


def test_mentioned_word_arrives_among_the_others() -> None:
    async def check() -> None:
        ours, theirs = socket.socketpair()
        keeper, worker = await Link.over(ours), await Link.over(theirs)
        worker.mention(Alive())
        await worker.send(Ready())
        assert await keeper.from_worker() == Alive()
        assert await keeper.from_worker() == Ready()
        keeper.close()
        worker.close()

    asyncio.run(check())


def test_words_to_an_end_that_does_not_read_are_not_kept() -> None:
    async def check() -> None:
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        worker = await Link.over(theirs)
        for _ in range(10_000):
            worker.mention(Alive())
        ours.setblocking(False)
        got = 0
        while True:
            try:
                got += len(ours.recv(1 << 20))
            except BlockingIOError:
                break
        assert 0 < got < 100_000
        worker.close()
        ours.close()

    asyncio.run(check())


def test_word_to_an_end_that_is_gone_is_lost_in_silence() -> None:
    async def check() -> None:
        ours, theirs = socket.socketpair()
        worker = await Link.over(theirs)
        ours.close()
        for _ in range(20):
            worker.mention(Alive())
            await asyncio.sleep(0)
        assert await worker.from_keeper() is None
        worker.close()

    asyncio.run(check())
