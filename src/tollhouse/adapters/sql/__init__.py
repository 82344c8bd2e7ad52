"""The store on SQL databases, by SQLAlchemy Core. Imported by the keeper and the command line, never by workers."""

from __future__ import annotations

from tollhouse.adapters.sql.migrate import Migration
from tollhouse.adapters.sql.store import SqlStore, open_store

__all__ = ["Migration", "SqlStore", "open_store"]
