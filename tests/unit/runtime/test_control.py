"""Commands find the house that is running, and are told the truth when none is."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from tollhouse.runtime.control import ControlSocket, NotDone, ask, inquire


async def refuse() -> None:
    raise OSError("the store is away")


async def with_house(folder: Path, word: str) -> tuple[bool | None, list[str]]:
    asked: list[str] = []

    async def refresh() -> None:
        asked.append("refresh")

    control = ControlSocket(folder, {"refresh": refresh, "fold": refuse})
    await control.start()
    try:
        mode = stat.S_IMODE((folder / "control.sock").stat().st_mode)
        assert mode == 0o600
        return await asyncio.to_thread(ask, folder, word), asked
    finally:
        await control.stop()


def test_house_does_what_it_is_asked_before_it_answers(tmp_path: Path) -> None:
    assert asyncio.run(with_house(tmp_path, "refresh")) == (True, ["refresh"])


def test_house_is_told_who_asks_where_that_matters(tmp_path: Path) -> None:
    async def scene() -> list[int]:
        asked: list[int] = []

        async def reload(uid: int) -> bytes:
            asked.append(uid)
            return b"{}"

        control = ControlSocket(tmp_path, {}, {"reload": reload})
        await control.start()
        try:
            assert await asyncio.to_thread(inquire, tmp_path, "reload") == b"{}"
        finally:
            await control.stop()
        return asked

    assert asyncio.run(scene()) == [os.getuid()]


@pytest.mark.parametrize("word", ["fold", "unheard-of", "x" * 500])
def test_house_says_when_it_could_not(tmp_path: Path, word: str) -> None:
    assert asyncio.run(with_house(tmp_path, word)) == (False, [])


def test_nobody_is_home(tmp_path: Path) -> None:
    assert ask(tmp_path, "refresh") is None


def test_socket_of_a_dead_house_is_nobody_and_does_not_stop_the_next(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    assert ask(tmp_path, "refresh") is None
    assert asyncio.run(with_house(tmp_path, "refresh"))[0] is True


def test_folder_may_lie_deeper_than_a_socket_path_may_be_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    assert asyncio.run(with_house(deep, "refresh"))[0] is True


def test_house_that_closes_answers_those_who_still_wait(tmp_path: Path) -> None:
    async def closing() -> bool | None:
        begun = asyncio.Event()

        async def never() -> None:
            begun.set()
            await asyncio.Event().wait()

        control = ControlSocket(tmp_path, {"refresh": never})
        await control.start()
        asked = asyncio.create_task(asyncio.to_thread(ask, tmp_path, "refresh"))
        await begun.wait()
        await control.stop()
        return await asked

    assert asyncio.run(closing()) is False


def inquired(folder: Path, document: bytes | None) -> bytes | None:
    async def run() -> bytes | None:
        async def deployments() -> bytes | None:
            return document

        control = ControlSocket(folder, {"deployments": deployments})
        await control.start()
        try:
            return await asyncio.to_thread(inquire, folder, "deployments")
        finally:
            await control.stop()

    return asyncio.run(run())


@pytest.mark.parametrize("document", [b"{}", b'{"lines":\n1}', b"[" + b"1," * 500_000 + b"1]"])
def test_answer_may_carry_a_document(tmp_path: Path, document: bytes) -> None:
    assert inquired(tmp_path, document) == document


def test_deed_without_a_document_is_answered_by_an_empty_one(tmp_path: Path) -> None:
    assert inquired(tmp_path, None) == b""


def test_document_beyond_the_bound_is_not_sent_in_part(tmp_path: Path) -> None:
    with pytest.raises(NotDone):
        inquired(tmp_path, b"1" * (16 * 1024 * 1024 + 1))


def test_nobody_is_home_to_be_inquired(tmp_path: Path) -> None:
    assert inquire(tmp_path, "deployments") is None
