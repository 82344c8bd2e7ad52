"""Tokens written to caches and tokens of images, and what of a request the upstream was not told."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0002"
down_revision: Final = "0001"
branch_labels: Final = None
depends_on: Final = None

# All may be null: older processes go on writing rows without them.
_BUCKETS: Final = ("input_cache_write_5m_tokens", "input_cache_write_1h_tokens", "input_image_tokens")


def upgrade() -> None:
    for bucket in _BUCKETS:
        op.add_column("exchanges", sa.Column(bucket, sa.BigInteger))
    op.add_column("exchanges", sa.Column("dropped", Text))


def downgrade() -> None:
    for column in ("dropped", *reversed(_BUCKETS)):
        op.drop_column("exchanges", column)
