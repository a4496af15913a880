"""Alembic's entry: the caller hands over its connection, already inside a transaction."""

from alembic import context

from schemas.table import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
with context.begin_transaction():
    context.run_migrations()
