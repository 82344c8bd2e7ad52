"""Putting transactions in line that must not read the same state and then both write."""

from __future__ import annotations

from sqlalchemy import Connection, func, select


def stand_in_line(connection: Connection, name: str) -> None:
    """Wait until no other transaction holds this name, and hold it until ours has ended.

    In SQLite every transaction that writes stands in line already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, _SEED))))


_SEED = 0x746F6C6C
"""Keeps our names apart from those of other programs in the same database."""
