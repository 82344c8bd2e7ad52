"""People who come by single sign-on: who they are at their provider, and how long they stay."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0007"
down_revision: Final = "0006"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    op.create_table(
        "admin_sessions",
        sa.Column("id", Text, primary_key=True),
        sa.Column("account", Text, nullable=False),
        sa.Column("digest", Text, nullable=False),
        sa.Column("nonce", Text, nullable=False),
        sa.Column("grants", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
    )
    op.create_index("ix_admin_sessions_digest", "admin_sessions", ["digest"], unique=True)
    op.create_index("ix_admin_sessions_nonce", "admin_sessions", ["nonce"], unique=True)
    op.create_table(
        "external_identities",
        sa.Column("id", Text, primary_key=True),
        sa.Column("account", Text, nullable=False),
        sa.Column("issuer", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_external_identities_account", "external_identities", ["account"])


def downgrade() -> None:
    op.drop_table("external_identities")
    op.drop_table("admin_sessions")
