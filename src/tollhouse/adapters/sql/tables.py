"""The schema. Money is BIGINT nano-USD; times are seconds since the epoch, UTC, as double precision, as in core.

The migrations build the same schema step by step; a test holds the two together.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from tollhouse.adapters.sql.column_types import Text

HEAD: Final = "0007"
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
    # Columns that came later stand last, and are null in rows that are older than they.
    Column("disabled_at", Double),
    Column("former_digest", Text),
    Column("former_until", Double),
    Column("limits", Text),  # like all below but one: JSON, null where it says nothing
    Column("budget", Text),
    Column("doors", Text),
    Column("networks", Text),
    Column("hours", Text),
    Column("tags", Text),
    Column("max_output_tokens", BigInteger),
    Column("metadata", Text),
    Column("project", Text),
    Column("account", Text),
    Index("ix_keys_digest", "digest", unique=True),
    Index("ix_keys_former_digest", "former_digest", unique=True),
    Index("ix_keys_changed_version", "changed_version"),
    Index("ix_keys_project", "project"),
    Index("ix_keys_account", "account"),
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
    Column("end_user", Text),
    Column("tags", Text),  # a JSON array, null where there are none
    Column("purses", Text),  # the same: what it is charged to
    Column("charged_nanousd", BigInteger),  # to each of them
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

SECRETS: Final = Table(
    "secrets",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),  # empty for the operator's own
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=False),  # of the text, from 1 on
    Column("fingerprint", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("key_id", Text, nullable=False),  # the master key that the data key is wrapped under
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_secrets_team_name", "team", "name", unique=True),
)

SPENDING: Final = Table(
    "spending",
    METADATA,
    Column("purse", Text, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("nanousd", BigInteger, nullable=False),  # the sum over the exchanges of this writer
    Column("changed_at", Double, nullable=False),
    # SQLite would go on in floating point where PostgreSQL refuses.
    CheckConstraint("nanousd BETWEEN -9223372036854775807 AND 9223372036854775807", name="ck_spending_range"),
    Index("ix_spending_changed_at", "changed_at"),
)

ORGANISATIONS: Final = Table(
    "organisations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("limits", Text, nullable=False),  # JSON, like budgets, routes and metadata everywhere below
    Column("budget", Text),
    Column("metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

TEAMS: Final = Table(
    "teams",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("routes", Text),
    Column("limits", Text, nullable=False),
    Column("budget", Text),
    Column("metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

PROJECTS: Final = Table(
    "projects",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("routes", Text),
    Column("limits", Text, nullable=False),
    Column("budget", Text),
    Column("metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_projects_team", "team"),
)

ACCOUNTS: Final = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("team", Text),
    Column("limits", Text, nullable=False),
    Column("budget", Text),
    Column("metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    Index("ix_accounts_email", "email", unique=True),
    Index("ix_accounts_team", "team"),
)

ADMIN_KEYS: Final = Table(
    "admin_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Index("ix_admin_keys_digest", "digest", unique=True),
    Index("ix_admin_keys_account", "account"),
)

ROLE_ASSIGNMENTS: Final = Table(
    "role_assignments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("team", Text),
    Column("created_at", Double, nullable=False),
    Index("ix_role_assignments_account", "account"),
    Index("ix_role_assignments_team", "team"),
)

ADMIN_SESSIONS: Final = Table(
    "admin_sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("grants", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ended_at", Double),
    Index("ix_admin_sessions_digest", "digest", unique=True),
    Index("ix_admin_sessions_nonce", "nonce", unique=True),
)

EXTERNAL_IDENTITIES: Final = Table(
    "external_identities",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_external_identities_account", "account"),
)

PAUSES: Final = Table(
    "pauses",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Double, nullable=False),
)

RULES_VERSION: Final = Table(
    "rules_version",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1; no row before the first change
    Column("version", BigInteger, nullable=False),
)

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("before_digest", Text),
    Column("after_digest", Text),
    Column("request_id", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("seal_before", Text, nullable=False),
    Column("seal", Text, nullable=False),
)

AUDIT_HEAD: Final = Table(
    "audit_head",
    METADATA,
    Column(
        "id", Integer, primary_key=True, autoincrement=False
    ),  # always 1; no row before the first of the log
    Column("count", BigInteger, nullable=False),
    Column("seal", Text, nullable=False),
    Column("signature", Text, nullable=False),
)

REMEMBERED: Final = Table(
    "remembered_requests",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("ix_remembered_requests_at", "at"),
)
