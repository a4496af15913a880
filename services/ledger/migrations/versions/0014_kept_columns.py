"""What a run keeps of its input rows for its results."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("kept", sa.JSON(), nullable=True))
