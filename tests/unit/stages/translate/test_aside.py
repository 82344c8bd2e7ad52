"""A request of very many parts is read beside the loop, and every other one at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tollhouse.stages.translate.aside import aside

MANY = b'{"a":1},' * 10_000


@pytest.mark.parametrize(
    ("body", "is_aside"),
    [(MANY, True), (b"x" * 1_000_000, False), (b":" * 6_000, False), (b"1,1," * 20_000, True)],
)
def test_work_is_done_aside_where_the_body_has_very_many_members(body: bytes, is_aside: bool) -> None:
    async def scenario() -> None:
        done_by = await aside(body, threading.get_ident)
        assert (done_by != threading.get_ident()) is is_aside

    asyncio.run(scenario())


def test_what_the_work_raises_reaches_who_asked_for_it() -> None:
    with pytest.raises(ValueError, match="literal"):
        asyncio.run(aside(MANY, int, "x"))
