"""People, what they own, the audit log of what they do, and what is paused."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0006"
down_revision: Final = "0005"
branch_labels: Final = None
depends_on: Final = None

_OWNERS: Final = ("project", "account")
"""Whose a key is, besides its team's."""


def upgrade() -> None:
    _groups()
    _people()
    _what_they_do()


def _groups() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", Text, primary_key=True),
        sa.Column("title", Text, nullable=False),
        sa.Column("limits", Text, nullable=False),
        sa.Column("budget", Text),
        sa.Column("metadata", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "teams",
        sa.Column("id", Text, primary_key=True),
        sa.Column("organisation", Text, nullable=False),
        sa.Column("title", Text, nullable=False),
        sa.Column("routes", Text),
        sa.Column("limits", Text, nullable=False),
        sa.Column("budget", Text),
        sa.Column("metadata", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "projects",
        sa.Column("id", Text, primary_key=True),
        sa.Column("team", Text, nullable=False),
        sa.Column("title", Text, nullable=False),
        sa.Column("routes", Text),
        sa.Column("limits", Text, nullable=False),
        sa.Column("budget", Text),
        sa.Column("metadata", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_projects_team", "projects", ["team"])


def _people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", Text, primary_key=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("email", Text),
        sa.Column("team", Text),
        sa.Column("limits", Text, nullable=False),
        sa.Column("budget", Text),
        sa.Column("metadata", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
    )
    op.create_index("ix_accounts_email", "accounts", ["email"], unique=True)
    op.create_index("ix_accounts_team", "accounts", ["team"])
    op.create_table(
        "admin_keys",
        sa.Column("id", Text, primary_key=True),
        sa.Column("account", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("digest", Text, nullable=False),
        sa.Column("hint", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_index("ix_admin_keys_digest", "admin_keys", ["digest"], unique=True)
    op.create_index("ix_admin_keys_account", "admin_keys", ["account"])
    op.create_table(
        "role_assignments",
        sa.Column("id", Text, primary_key=True),
        sa.Column("account", Text, nullable=False),
        sa.Column("role", Text, nullable=False),
        sa.Column("team", Text),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_role_assignments_account", "role_assignments", ["account"])
    op.create_index("ix_role_assignments_team", "role_assignments", ["team"])
    # Both may be null: older processes go on writing rows without them.
    for name in _OWNERS:
        op.add_column("keys", sa.Column(name, Text))
        op.create_index(f"ix_keys_{name}", "keys", [name])


def _what_they_do() -> None:
    op.create_table(
        "pauses",
        sa.Column("id", Text, primary_key=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("target", Text, nullable=False),
        sa.Column("reason", Text, nullable=False),
        sa.Column("by", Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "rules_version",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor_id", Text, nullable=False),
        sa.Column("actor_name", Text, nullable=False),
        sa.Column("action", Text, nullable=False),
        sa.Column("object", Text, nullable=False),
        sa.Column("before", Text),
        sa.Column("after", Text),
        sa.Column("before_digest", Text),
        sa.Column("after_digest", Text),
        sa.Column("request_id", Text, nullable=False),
        sa.Column("peer", Text, nullable=False),
        sa.Column("seal_before", Text, nullable=False),
        sa.Column("seal", Text, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("seal", Text, nullable=False),
        sa.Column("signature", Text, nullable=False),
    )
    op.create_table(
        "remembered_requests",
        sa.Column("id", Text, primary_key=True),
        sa.Column("request", Text, nullable=False),
        sa.Column("object", Text, nullable=False),
        sa.Column("salt", Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("ix_remembered_requests_at", "remembered_requests", ["at"])


def downgrade() -> None:
    for table in (
        "remembered_requests",
        "audit_head",
        "audit",
        "rules_version",
        "pauses",
        "role_assignments",
        "admin_keys",
        "accounts",
        "projects",
        "teams",
        "organisations",
    ):
        op.drop_table(table)
    for name in reversed(_OWNERS):
        op.drop_index(f"ix_keys_{name}", "keys")
        op.drop_column("keys", name)
