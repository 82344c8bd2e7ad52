"""How the schema came to be, step by step. Read by Alembic."""
