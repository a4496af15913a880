"""Learn: what earlier bills say about the estimates to come, by model and class of payload."""

from schemas.payload.traits import PayloadClass
from tasks.run import Run
from tasks.step import step


@step
def learn(run: Run) -> int:
    """Learn from earlier bills what the estimates of this run go by; how many answers that took."""
    keys = [(model, kind) for model in run.models.callable for kind in PayloadClass]
    return sum(run.scale.lesson_of(key).n for key in keys)
