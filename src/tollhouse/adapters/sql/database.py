"""What the store has to know of the database it stands on; one implementation for each kind."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection


class Database(Protocol):
    """Nothing is opened before it is asked for, and every call tries anew."""

    place: str
    """How messages call it; holds no password."""
    migrates_itself: bool
    """Whether a schema that is too old is brought up without asking."""
    errors: tuple[type[Exception], ...]
    """What using it may raise."""

    def make_ready(self) -> None:
        """Before the first use. Raises: one of `errors`, StoreUnavailable where it cannot serve."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction that sees one state of everything."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction, committed where the block ends well."""

    def migrating(self) -> AbstractContextManager[Connection]:
        """The same, for one process at a time and for as long as it takes."""

    def refusal(self, fault: BaseException) -> str | None:
        """Where a row or a value is at fault: what is wrong with it, without the value. None where it is not."""

    def meaning(self, fault: BaseException) -> str:
        """Any other of `errors`: what it means and what to do, as the rest of a sentence."""

    def close(self) -> None: ...
