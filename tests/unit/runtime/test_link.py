"""Keeper and worker ask each other, and nobody waits for an answer that cannot come."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from tollhouse.core.secret import Secret
from tollhouse.runtime.link import Link, Reload, Tell, Told


async def ends() -> tuple[Link, Link]:
    ours, theirs = socket.socketpair()
    return await Link.over(ours), await Link.over(theirs)


def between(talk: Callable[[Link, Link], Awaitable[None]]) -> None:
    async def run() -> None:
        keeper, worker = await ends()
        try:
            await talk(keeper, worker)
        finally:
            keeper.close()
            worker.close()

    asyncio.run(run())


def test_answers_find_their_questions_in_whatever_order_they_come() -> None:
    async def talk(keeper: Link, worker: Link) -> None:
        asked = [asyncio.create_task(keeper.ask(about, 5.0)) for about in ("weather", "time")]
        questions = [await worker.from_keeper(), await worker.from_keeper()]
        for question in reversed(questions):
            assert isinstance(question, Tell)
            await worker.send(Told(question.serial, question.about.encode()))
        for _ in asked:
            told = await keeper.from_worker()
            assert isinstance(told, Told)
            keeper.answered(told)
        assert [await answer for answer in asked] == [b"weather", b"time"]

    between(talk)


def test_worker_asks_its_keeper_in_the_same_words() -> None:
    async def talk(keeper: Link, worker: Link) -> None:
        asked = asyncio.create_task(worker.ask("reload", 5.0))
        question = await keeper.from_worker()
        assert isinstance(question, Tell)
        assert question.about == "reload"
        await keeper.send(Told(question.serial, None))
        told = await worker.from_keeper()
        assert isinstance(told, Told)
        worker.answered(told)
        assert await asked is None

    between(talk)


def test_question_ends_when_the_link_does_or_patience() -> None:
    async def talk(keeper: Link, worker: Link) -> None:
        with pytest.raises(TimeoutError):
            await keeper.ask("weather", 0.01)
        asked = asyncio.create_task(keeper.ask("weather", 5.0))
        await worker.from_keeper()
        keeper.close()
        with pytest.raises(ConnectionError):
            await asked

    between(talk)


def test_answer_that_comes_too_late_is_dropped() -> None:
    async def talk(keeper: Link, worker: Link) -> None:
        with pytest.raises(TimeoutError):
            await keeper.ask("weather", 0.01)
        question = await worker.from_keeper()
        assert isinstance(question, Tell)
        keeper.answered(Told(question.serial, b"rain"))

    between(talk)


def test_configuration_travels_whole() -> None:
    async def talk(keeper: Link, worker: Link) -> None:
        word = Reload(
            serial=7,
            config=b"{}" * 200_000,
            secrets={},
            base_urls={"demo": "http://127.0.0.1:1/v1"},
            waits_for_restart=("store",),
        )
        sending = asyncio.create_task(keeper.send(word))
        assert await worker.from_keeper() == word
        await sending

    between(talk)


def test_secrets_cross_the_link_whole_and_show_nowhere_else() -> None:
    async def talk(keeper: Link, worker: Link) -> None:
        word = Reload(
            serial=1,
            config=b"{}",
            secrets={"env:UP": Secret("sk-canary")},
            base_urls={},
            waits_for_restart=(),
        )
        await keeper.send(word)
        told = await worker.from_keeper()
        assert isinstance(told, Reload)
        assert told.secrets["env:UP"].reveal() == "sk-canary"
        assert "sk-canary" not in repr(word) + repr(told)

    between(talk)
