"""Pure work on requests of very many small parts, aside from the loop that serves everybody.

Work grows with the number of members, not with the bytes: a megabyte of one text is read at once, a megabyte of tiny
messages takes some tenths of a second, in which nobody else would be served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

_LARGE_BYTES: Final = 64 * 1024
_MANY_MEMBERS: Final = 5_000
_MANY_ITEMS: Final = 15_000
"""So many of either take some 50 ms; handing work to a thread and back takes a hundredth of it."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def aside(body: bytes, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """`work`, which shares nothing that changes, at once or in a thread: as `body`, which it is about, demands."""
    if is_laborious(body):
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


def is_laborious(body: bytes) -> bool:
    """Whether there are very many members or items in a JSON text; colons and commas in its texts count as well."""
    if len(body) <= _LARGE_BYTES:
        return False
    return body.count(b":") > _MANY_MEMBERS or body.count(b",") > _MANY_ITEMS
