"""The reconciliation view says of what class a payload was, how it was counted, and how far the bill lay off."""

from alembic import op

revision = "0005"
down_revision = "0004"

# Estimate beside actual, one row per job that was paid for. USD is a reading of nano-USD. The errors are signed, billed
# less estimated, and there only where the usage says all that was billed.
RECONCILIATION = """
CREATE VIEW reconciliation AS
SELECT run_id, job_id, group_name, model, payload_class, method,
       input_tokens AS estimated_input_tokens,
       actual_input_tokens,
       CASE WHEN coalesce(billing, 'full') = 'full' THEN actual_input_tokens - input_tokens END AS error_tokens,
       CASE WHEN coalesce(billing, 'full') = 'full' AND input_tokens > 0
            THEN round((actual_input_tokens - input_tokens) * 100.0 / input_tokens, 3) END AS error_percent,
       actual_output_tokens,
       thinking_tokens,
       service_tier,
       coalesce(billing, 'full') AS billing,
       expected_nano_usd / 1000000000.0 AS estimated_usd,
       expected_low_nano_usd / 1000000000.0 AS estimated_low_usd,
       expected_high_nano_usd / 1000000000.0 AS estimated_high_usd,
       worst_case_nano_usd / 1000000000.0 AS worst_case_usd,
       actual_nano_usd / 1000000000.0 AS actual_usd,
       expected_nano_usd AS estimated_nano_usd,
       worst_case_nano_usd,
       actual_nano_usd,
       attempt_id
FROM attempts
WHERE state = 'succeeded'
"""


def upgrade() -> None:
    op.execute("DROP VIEW reconciliation")
    op.execute(RECONCILIATION)
