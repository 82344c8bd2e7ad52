"""Errands of the admin API on their way to the store: bounded in number and in time.

A store that is slow is as good as away: whoever asked is told so and may ask again, and nothing piles up behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tollhouse.ports.log import Log
from tollhouse.ports.store import Store, StoreUnavailable

from .key_upgrades import Asking

PATIENCE_S: Final = 2.0
"""Whoever asks has an answer within three seconds, whatever the store does."""
MOST: Final = 16
"""At once; each is some milliseconds of a store that is well."""


Portion = Callable[[Store], "bytes | Portion"]
"""A part of an errand on the store: gives the answer, or the next part."""


class Errands:
    """Has errands done one after the other."""

    def __init__(self, ask: Asking, log: Log, *, patience_s: float = PATIENCE_S) -> None:
        self._ask = ask
        self._log = log
        self._patience_s = patience_s
        self._waiting = 0
        self._is_slow = False

    async def run(self, errand: Portion) -> bytes | None:
        """The answer; None where there is none to be had now. An errand that has not begun by then is never done; one
        that has may still be. Between the portions of a long one others get their turn."""
        if self._waiting >= MOST:
            return None
        self._waiting += 1
        try:
            answer: bytes | Portion = errand
            while not isinstance(answer, bytes):
                answer = await asyncio.wait_for(self._ask(answer), self._patience_s)
        except StoreUnavailable:
            return None
        except TimeoutError:
            if not self._is_slow:
                self._log.error("store_slow", effect="the admin API answers 503")
            self._is_slow = True
            return None
        except Exception as defect:  # noqa: BLE001 - whatever it is, whoever asks is not kept waiting
            self._log.error("administration_defect", kind=type(defect).__name__)
            return None
        finally:
            self._waiting -= 1
        self._is_slow = False
        return answer
