"""Runs the migrations on the connection that `service.archive.migration` hands in."""

from __future__ import annotations

from alembic import context

from service.archive.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite changes tables inside transactions as PostgreSQL does, once the driver's own BEGIN is out of the way.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
