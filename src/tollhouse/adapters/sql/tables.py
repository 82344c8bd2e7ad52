"""The schema. Money is BIGINT nano-USD; times are seconds since the epoch, UTC, as double precision, as in core.

The migrations build the same schema step by step; a test holds the two together.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

HEAD: Final = "0003"
"""The revision of the newest migration: a store that stands there needs none."""

METADATA: Final = MetaData()

KEYS: Final = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("team", Text),
    Column("routes", Text, nullable=False),  # a JSON array of globs
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("changed_version", BigInteger, nullable=False),  # of keys_version, when it last changed
    Index("ix_keys_digest", "digest", unique=True),
    Index("ix_keys_changed_version", "changed_version"),
)

KEYS_VERSION: Final = Table(
    "keys_version",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("version", BigInteger, nullable=False),
)

EXCHANGES: Final = Table(
    "exchanges",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("day", Integer, nullable=False),  # whole days since the epoch, UTC
    Column("writer", Text, nullable=False),  # whose journal it came from
    Column("operation", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("key_id", Text),
    Column("key_name", Text),
    Column("team", Text),
    Column("peer", Text, nullable=False),
    Column("route", Text),
    Column("deployment", Text),
    Column("provider", Text),
    Column("model", Text),
    Column("is_stream", Boolean, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("error_message", Text),
    Column(
        "is_sent", Boolean, nullable=False
    ),  # whether an upstream call was begun, so that tokens may have been used
    Column("usage_source", Text),  # null where nothing is known; the buckets are null then too
    Column("input_uncached_tokens", BigInteger),
    Column("input_cache_read_tokens", BigInteger),
    Column("input_audio_tokens", BigInteger),
    Column("output_text_tokens", BigInteger),
    Column("output_reasoning_tokens", BigInteger),
    Column("output_audio_tokens", BigInteger),
    Column("cost_nanousd", BigInteger),
    Column("finish_reason", Text),
    Column("duration_s", Double),
    Column("first_byte_s", Double),
    Column("upstream_s", Double),
    Column("request_bytes", BigInteger, nullable=False),
    Column("response_bytes", BigInteger, nullable=False),
    Column("config", Text, nullable=False),
    # Columns that came later stand last, and are null in rows that are older than they.
    Column("input_cache_write_5m_tokens", BigInteger),
    Column("input_cache_write_1h_tokens", BigInteger),
    Column("input_image_tokens", BigInteger),
    Column("dropped", Text),  # a JSON array of names; null where nothing was
    Column("mirrors", Text),  # the exchange this one is a copy of
    Column("replays", Text),  # the exchange whose recorded answer was given
    Index("ix_exchanges_at", "at"),
    Index("ix_exchanges_key_id_at", "key_id", "at"),
    Index(
        "ix_exchanges_open_writer",
        "writer",
        "id",
        sqlite_where=text("outcome = 'open'"),
        postgresql_where=text("outcome = 'open'"),
    ),
)

ATTEMPTS: Final = Table(
    "attempts",
    METADATA,
    Column("exchange_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("deployment", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("duration_s", Double),
    Column("is_estimated", Boolean, nullable=False),
)

AUTH_EVENTS: Final = Table(
    "auth_events",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("key_id", Text),
    Column("hint", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("ix_auth_events_at", "at"),
)

FEED_POSITIONS: Final = Table(
    "feed_positions",
    METADATA,
    Column("segment", Text, primary_key=True),
    Column("offset_bytes", BigInteger, nullable=False),
)
