"""Places where a scenario makes the house's own code go wrong: good builds have them too, while a scenario asks for it.

A caller says what is to happen to the worker in the header `x-chaos`: `raise`, `memory` or `block SECONDS`. A worker
dies at its start while the file `dies-at-start` lies in the folder of failpoints.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

_WORKER = "run_worker()"


def install(folder: str) -> None:
    """Only in workers: the commands and the keeper stay as they are."""
    if any(argument.endswith(_WORKER) for argument in sys.orig_argv):
        if (Path(folder) / "dies-at-start").exists():
            os._exit(70)
        _make_calls_go_wrong()


def _make_calls_go_wrong() -> None:
    from tollhouse.pipeline import page

    planned = page.call_model

    @functools.wraps(planned)
    async def call_model(
        house: Any, door: Any, principal: Any, dialect: Any, request: Any, *rest: Any
    ) -> Any:
        go_wrong(request.headers.get(b"x-chaos", b"").decode())
        return await planned(house, door, principal, dialect, request, *rest)

    page.call_model = call_model


def go_wrong(how: str) -> None:
    what, _, how_long = how.partition(" ")
    match what:
        case "raise":
            raise RuntimeError("a failpoint")
        case "memory":
            raise MemoryError
        case "block":
            _stand_still(float(how_long))


def _stand_still(duration_s: float) -> None:
    """The loop is held up, as by a slow pattern."""
    assert asyncio.get_running_loop().is_running()
    time.sleep(duration_s)
