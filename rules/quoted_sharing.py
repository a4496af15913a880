"""Quoted sharing: which rows of a file would get the answer to another one, as far as a quote has read it."""

from dataclasses import dataclass

from schemas.job import Job
from schemas.outcome import Outcome, Reason
from schemas.policy import Policy


@dataclass(frozen=True, slots=True)
class Lead:
    """The first row of a payload, and what a run would make of it.

    Attributes:
        outcome: None: it would be sent.
        place: of a row that would be sent: where its money stands among the needs of the tally.
    """

    outcome: Outcome | None = None
    reason: Reason | None = None
    detail: str | None = None
    place: int | None = None


class QuotedSharing:
    """The payloads of a file that were seen so far.

    Args:
        policy: of the run that is quoted.
        looks_at_all: whether every row is looked at; a row of a sample stands for rows with other payloads.
    """

    def __init__(self, policy: Policy, *, looks_at_all: bool) -> None:
        self._rules = policy.run
        self._same_limits = policy.prune.on_over_budget != "review"
        self._is_on = looks_at_all and policy.run.share_answers
        self._leads: dict[int, Lead] = {}

    def leads(self, job: Job) -> bool:
        """Whether a job is the first of its payload; from now on others get its answer."""
        if not self._is_on:
            return True
        key = self._key(job)
        is_first = key not in self._leads
        if is_first:
            self._leads[key] = Lead()
        return is_first

    def note(self, job: Job, lead: Lead) -> None:
        """Take in what a run would make of a row, for those with its payload that come after it."""
        if self._is_on:
            key = self._key(job)
            if self._leads.get(key, Lead()) == Lead():
                self._leads[key] = lead

    def lead(self, job: Job) -> Lead:
        """What a run would make of the first row with a job's payload."""
        return self._leads[self._key(job)]

    def _key(self, job: Job) -> int:
        """8 bytes a payload: a file may have a million."""
        group = job.group if self._rules.answers_private_to_group else None
        limits = (job.max_input_tokens, job.max_cost) if self._same_limits else None
        return hash((job.payload.fingerprint, job.model, group, limits))
