"""Types of columns that mean the same to every database."""

from __future__ import annotations

from typing import Final

import sqlalchemy

Text: Final = sqlalchemy.Text().with_variant(sqlalchemy.Text(collation="C"), "postgresql")
"""Compared by code points: ids sort by time, and no order depends on the locale a database was made with."""
