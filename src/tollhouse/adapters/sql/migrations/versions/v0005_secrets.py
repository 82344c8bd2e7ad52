"""Secrets that are entrusted to the house, encrypted under a master key that is not in here."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0005"
down_revision: Final = "0004"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", Text, primary_key=True),
        sa.Column("team", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("key_id", Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_secrets_team_name", "secrets", ["team", "name"], unique=True)


def downgrade() -> None:
    op.drop_table("secrets")
