"""What a sample measured, so that one effort stands next to another."""

from collections.abc import Sequence

from rules.lesson import nearest_rank
from schemas.attempt import MeasuredAnswer
from schemas.money import to_usd
from schemas.run import SampleOptions, Way
from schemas.saving_figures import SampleFigures


def sample_figures(
    asked: SampleOptions, way: Way, rows: int, answers: Sequence[MeasuredAnswer]
) -> SampleFigures:
    """The figures of a sample; those of which nothing was observed are None.

    Args:
        asked: which rows were drawn.
        way: to think, that they were asked with in place of their own.
        rows: how many were drawn.
        answers: to them.
    """
    outputs = sorted(one.output_tokens for one in answers)
    thinking = sorted(one.thinking_tokens for one in answers if one.thinking_tokens is not None)
    figures = SampleFigures(
        rows=rows, seed=asked.seed, effort=way.effort, thinking_budget=way.budget, answers=len(answers)
    )
    if outputs:
        figures.mean_output, figures.p95_output = _mean(outputs), nearest_rank(outputs, 95)
        figures.usd_per_job = to_usd(_mean([one.cost for one in answers]))
    if thinking:
        figures.mean_thinking, figures.p95_thinking = _mean(thinking), nearest_rank(thinking, 95)
    return figures


def _mean(values: Sequence[int]) -> int:
    """Rounded up."""
    return -(-sum(values) // len(values))
