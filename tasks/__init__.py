"""The steps: one verb per file, the plain functions first and the Prefect task that runs them below."""
