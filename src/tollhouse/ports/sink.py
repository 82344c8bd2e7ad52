"""Where finished exchanges are told."""

from __future__ import annotations

from typing import Protocol

from tollhouse.core.exchange import ExchangeRecord


class Sink(Protocol):
    """Receives the one row of every exchange. Bounded, never blocks, never raises: it stands on the serving path."""

    def write(self, record: ExchangeRecord) -> None: ...
