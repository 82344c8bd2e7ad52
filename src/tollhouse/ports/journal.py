"""The book's rough copy: handed to the kernel before money is spent, folded into the store later."""

from __future__ import annotations

from typing import Protocol

from tollhouse.core.exchange import AttemptIntent, AuthEvent, Settlement


class Journal(Protocol):
    """Append-only. One writer per process; survives kill -9 from the moment a write returned."""

    async def write_ahead(self, intent: AttemptIntent) -> None:
        """Return when the kernel has the intent. Intents of one turn of the loop share one write.

        Raises: GatewayError `overloaded` when the journal is full or cannot be written: nothing may be spent then.
        """

    def note(self, entry: Settlement | AuthEvent) -> None:
        """Write within this turn of the loop, together with what else is due. Never blocks, never raises:
        what cannot be written is kept and tried again, and counted."""

    def close(self) -> None:
        """Write what is left and give the file up."""
