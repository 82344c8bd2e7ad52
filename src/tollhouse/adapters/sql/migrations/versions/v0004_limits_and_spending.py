"""What keys may use and when, what exchanges are charged to, and the sums of that."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from tollhouse.adapters.sql.column_types import Text

revision: Final = "0004"
down_revision: Final = "0003"
branch_labels: Final = None
depends_on: Final = None

# All may be null: older processes go on writing rows without them.
_KEYS: Final[dict[str, sa.types.TypeEngine[Any]]] = {
    "disabled_at": sa.Double(),
    "former_digest": Text,
    "former_until": sa.Double(),
    "limits": Text,
    "budget": Text,
    "doors": Text,
    "networks": Text,
    "hours": Text,
    "tags": Text,
    "max_output_tokens": sa.BigInteger(),
    "metadata": Text,
}
_EXCHANGES: Final[dict[str, sa.types.TypeEngine[Any]]] = {
    "end_user": Text,
    "tags": Text,
    "purses": Text,
    "charged_nanousd": sa.BigInteger(),
}


def upgrade() -> None:
    for table, columns in (("keys", _KEYS), ("exchanges", _EXCHANGES)):
        for name, type_ in columns.items():
            op.add_column(table, sa.Column(name, type_))
    op.create_index("ix_keys_former_digest", "keys", ["former_digest"], unique=True)
    op.create_table(
        "spending",
        sa.Column("purse", Text, primary_key=True),
        sa.Column("writer", Text, primary_key=True),
        sa.Column("nanousd", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.CheckConstraint(
            "nanousd BETWEEN -9223372036854775807 AND 9223372036854775807", name="ck_spending_range"
        ),
    )
    op.create_index("ix_spending_changed_at", "spending", ["changed_at"])


def downgrade() -> None:
    op.drop_table("spending")
    op.drop_index("ix_keys_former_digest", "keys")
    for table, columns in (("exchanges", _EXCHANGES), ("keys", _KEYS)):
        for name in reversed(columns):
            op.drop_column(table, name)
