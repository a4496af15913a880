"""Room for any id of a provider's batch: what is made must never fail to be put on record. SQLite has that room."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("batches", "provider_batch_id", type_=sa.Text(), existing_type=sa.String(100))
