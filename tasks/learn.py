"""Learn: what earlier bills say about the estimates to come, by model and class of payload."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.lesson import Lesson, LessonKey, lesson
from schemas.payload.traits import PayloadClass
from services.ledger import lessons
from tasks.start_run import Run


def lesson_of(run: Run, kind: LessonKey) -> Lesson:
    """The lesson that this run's estimates of one kind go by; read from the ledger once a run.

    It is made of what had ended before the run began, so it is the same whenever it is asked for.
    """
    if kind not in run.lessons:
        margin = run.policy.margin
        seen = lessons.latest(run.ledger, run.run_id, kind, margin.last_answers)
        run.lessons[kind] = lesson(kind, seen, margin)
    return run.lessons[kind]


def learn_from_bills(run: Run) -> int:
    """Learn about every model that the run may call; how many earlier answers that took."""
    return sum(lesson_of(run, (model, kind)).n for model in run.models for kind in PayloadClass)


@task(name="learn", cache_policy=NO_CACHE, persist_result=False)
def learn(run: Run) -> int:
    """Learn from earlier bills what the estimates of this run go by; how many answers that took."""
    return learn_from_bills(run)
