"""Run by Alembic for each command. The connection, with its transaction, is the caller's."""

from __future__ import annotations

from alembic import context

from tollhouse.adapters.sql.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
