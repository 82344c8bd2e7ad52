"""Which exchanges are copies of others, and which were given the recorded answers of others."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None

# Both may be null: older processes go on writing rows without them.
_COLUMNS: Final = ("mirrors", "replays")


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("exchanges", sa.Column(column, Text))


def downgrade() -> None:
    for column in reversed(_COLUMNS):
        op.drop_column("exchanges", column)
