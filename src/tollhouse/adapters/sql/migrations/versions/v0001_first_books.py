"""Keys, exchanges with their attempts, the authentication log, and how far the journal is folded."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    _keys()
    _exchanges()
    _attempts()
    _auth_events()
    op.create_table(
        "feed_positions",
        sa.Column("segment", Text, primary_key=True),
        sa.Column("offset_bytes", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("feed_positions", "auth_events", "attempts", "exchanges", "keys_version", "keys"):
        op.drop_table(table)


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", Text, primary_key=True),
        sa.Column("name", Text, nullable=False),
        sa.Column("digest", Text, nullable=False),
        sa.Column("scheme", Text, nullable=False),
        sa.Column("hint", Text, nullable=False),
        sa.Column("team", Text),
        sa.Column("routes", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("changed_version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_keys_digest", "keys", ["digest"], unique=True)
    op.create_index("ix_keys_changed_version", "keys", ["changed_version"])
    versions = op.create_table(
        "keys_version",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(versions, [{"id": 1, "version": 0}])


def _exchanges() -> None:
    op.create_table(
        "exchanges",
        sa.Column("id", Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("writer", Text, nullable=False),
        sa.Column("operation", Text, nullable=False),
        sa.Column("door", Text, nullable=False),
        sa.Column("key_id", Text),
        sa.Column("key_name", Text),
        sa.Column("team", Text),
        sa.Column("peer", Text, nullable=False),
        sa.Column("route", Text),
        sa.Column("deployment", Text),
        sa.Column("provider", Text),
        sa.Column("model", Text),
        sa.Column("is_stream", sa.Boolean, nullable=False),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", Text),
        sa.Column("error_message", Text),
        sa.Column("is_sent", sa.Boolean, nullable=False),
        sa.Column("usage_source", Text),
        sa.Column("input_uncached_tokens", sa.BigInteger),
        sa.Column("input_cache_read_tokens", sa.BigInteger),
        sa.Column("input_audio_tokens", sa.BigInteger),
        sa.Column("output_text_tokens", sa.BigInteger),
        sa.Column("output_reasoning_tokens", sa.BigInteger),
        sa.Column("output_audio_tokens", sa.BigInteger),
        sa.Column("cost_nanousd", sa.BigInteger),
        sa.Column("finish_reason", Text),
        sa.Column("duration_s", sa.Double),
        sa.Column("first_byte_s", sa.Double),
        sa.Column("upstream_s", sa.Double),
        sa.Column("request_bytes", sa.BigInteger, nullable=False),
        sa.Column("response_bytes", sa.BigInteger, nullable=False),
        sa.Column("config", Text, nullable=False),
    )
    op.create_index("ix_exchanges_at", "exchanges", ["at"])
    op.create_index("ix_exchanges_key_id_at", "exchanges", ["key_id", "at"])
    is_open = sa.text("outcome = 'open'")
    op.create_index(
        "ix_exchanges_open_writer",
        "exchanges",
        ["writer", "id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("exchange_id", Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("deployment", Text, nullable=False),
        sa.Column("provider", Text, nullable=False),
        sa.Column("model", Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", Text),
        sa.Column("duration_s", sa.Double),
        sa.Column("is_estimated", sa.Boolean, nullable=False),
    )


def _auth_events() -> None:
    op.create_table(
        "auth_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("key_id", Text),
        sa.Column("hint", Text, nullable=False),
        sa.Column("peer", Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_auth_events_at", "auth_events", ["at"])
