"""What a flow may be asked: one model a flow, the home of its form in Prefect and of its own check."""
