"""Draw a quote: what the file costs by policy, and how heavy its jobs are, as PNG files next to the quote."""

from base64 import b64encode
from pathlib import Path

import pandas as pd

from schemas.quote import QuoteReport
from services.charts import cost_by_policy, job_weights
from services.result_file import write_bytes
from tasks.quoting import Quoting


def draw_quote(quoting: Quoting, report: QuoteReport) -> list[Path]:
    """Draw the charts of a quote into its folder.

    Args:
        quoting: the quote, whose file of job quotes is written.
        report: its figures.

    Returns:
        The PNG files: cost by policy, and the weights of the jobs over the routes.
    """
    columns = ("name", "expected_usd", "p90_usd", "worst_usd")
    policies = pd.DataFrame([{name: getattr(one, name) for name in columns} for one in report.policies])
    jobs = pd.read_parquet(quoting.job_quotes, columns=["input_tokens"], dtype_backend="pyarrow")
    routes = {route.name: route.up_to_input_tokens for route in quoting.scale.policy.routes}
    drawn = {
        "cost-by-policy.png": cost_by_policy(policies, simulated=report.simulated),
        "job-weights.png": job_weights(jobs, routes, simulated=report.simulated),
    }
    return [write_bytes(quoting.folder / name, png) for name, png in drawn.items()]


def as_markdown_images(files: list[Path]) -> str:
    """PNG files inside a Markdown text, for a page that cannot read them from this machine."""
    return "\n\n".join(
        f"![{file.stem}](data:image/png;base64,{b64encode(file.read_bytes()).decode()})" for file in files
    )
