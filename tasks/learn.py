"""Learn: what earlier bills say about the estimates to come, by model, class of payload and effort."""

from rules.lesson import LessonKey
from schemas.payload.api_rules import RULES
from schemas.payload.traits import PayloadClass
from tasks.run import Run
from tasks.step import step


@step
def learn(run: Run) -> int:
    """Learn from earlier bills what the estimates of this run go by; how many answers that took."""
    efforts = (None, *RULES.values["effort"])
    keys = [
        LessonKey(model, kind, effort)
        for model in run.models.callable
        for kind in PayloadClass
        for effort in efforts
    ]
    return sum(run.scale.lesson_of(key).n for key in keys)
