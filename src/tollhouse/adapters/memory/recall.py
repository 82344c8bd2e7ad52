"""What is remembered between calls, in this process. Implements ports.recall.Recall."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from tollhouse.ports.clock import Clock
from tollhouse.ports.recall import LIFE_S

_MOST_BYTES: Final = 64 * 1024 * 1024
_OVERHEAD_BYTES: Final = 200
"""About what an entry costs beside its key and value."""


class MemoryRecall:
    """Bounded by bytes: the longest kept goes first."""

    def __init__(self, clock: Clock, *, most_bytes: int = _MOST_BYTES) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._entries: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    def keep(self, tenant: str, key: str, value: bytes, *, life_s: float = LIFE_S) -> None:
        self.forget(tenant, key)
        size = _size(tenant, key, value)
        if size > self._most_bytes:
            return
        self._entries[tenant, key] = (self._clock.monotonic() + life_s, value)
        self._bytes += size
        while self._bytes > self._most_bytes:
            (old_tenant, old_key), (_, old) = self._entries.popitem(last=False)
            self._bytes -= _size(old_tenant, old_key, old)

    def recall(self, tenant: str, key: str) -> bytes | None:
        entry = self._entries.get((tenant, key))
        if entry is None:
            return None
        until, value = entry
        if self._clock.monotonic() > until:
            self.forget(tenant, key)
            return None
        return value

    def forget(self, tenant: str, key: str) -> None:
        entry = self._entries.pop((tenant, key), None)
        if entry is not None:
            self._bytes -= _size(tenant, key, entry[1])


def _size(tenant: str, key: str, value: bytes) -> int:
    return len(tenant) + len(key) + len(value) + _OVERHEAD_BYTES
