"""Read the results of a batch that has ended, and settle every item from its line."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from rules.call_failures import ApiError, failure_of_item
from rules.endings import answered, batch_left_it, dearest, item_failed, stops_run, unknown
from rules.models import Models
from rules.policy_on_record import policy_on_record
from rules.prices import PriceCard, Unpriced
from rules.usage_cost import billing_terms
from schemas.attempt import Settlement, UnsettledAttempt
from schemas.batch import RESULTS_KEPT, OpenBatch, ProviderBatch, ResultLine
from schemas.failures import CallFailed, Transient
from schemas.job import AttemptId
from schemas.outcome import UNSETTLED_STATES, AttemptState, Reason
from schemas.usage import Answer
from services.ledger import batch_attempts, batches, runs
from services.result_lines import json_text
from tasks.give_up_batch import give_up, is_gone, note_missing
from tasks.pause import Pause
from tasks.run import Run

log = logging.getLogger("weighbridge")

#: results that were read to their end this many times, and still lack items, will not have them
_MOST_READINGS = 3
#: lines that are settled together, at most, and the bytes from which on there are no more of them
_GROUP = 500
_GROUP_BYTES = 4_000_000


async def ingest(run: Run, batch: OpenBatch, seen: ProviderBatch) -> bool:
    """Settle the items of a batch that has ended from its results; False: they must be read again later.

    What cannot be read is kept with its attempt and is not downloaded again. A line that is not JSON may have been
    cut on its way, so it is.
    """
    reading = _Reading(run, batch, seen, await _models_of(run, batch))
    pause = Pause(float(run.policy.batch.poll_seconds))
    for number in range(_MOST_READINGS):
        if number:
            await pause.wait()
        try:
            await reading.read()
        except CallFailed as error:
            return await _not_read(run, batch, error)
        if not reading.waiting:
            await run.ledger.off_loop(batches.ended, batch.batch_id, seen.counts)
            return True
    if batch.given_up_at is None:
        why = f"the results that can be read lack {len(reading.waiting)} of {seen.requests} items"
        await give_up(run, batch, why, reading.broken)
    return True


async def _not_read(run: Run, batch: OpenBatch, error: CallFailed) -> bool:
    """Results that could not be had, or not to their end; whether that is final."""
    if datetime.now(UTC) - batch.prepared_at > RESULTS_KEPT:
        await give_up(run, batch, f"the provider keeps its results no longer ({error})")
        return True
    if is_gone(error):
        return await note_missing(run, batch, error)
    log.warning("The results of batch %s were cut (%s); they are read again.", batch.batch_id, error)
    return False


async def _models_of(run: Run, batch: OpenBatch) -> Models:
    """The models at the prices of the run that holds the money, whichever run looks."""
    if batch.run_id == run.run_id:
        return run.models
    found = await run.ledger.off_loop(runs.find, batch.run_id)
    return run.models if found is None else Models(policy_on_record(found)[0])


class _Reading:
    """The readings of one batch's results, and what came of them so far.

    Attributes:
        waiting: attempts that the last reading left unsettled.
        judged: attempts whose line was read, whatever it says.
        answered: those of them whose line says that they were answered.
        broken: lines that are not JSON, by attempt.
    """

    def __init__(self, run: Run, batch: OpenBatch, seen: ProviderBatch, models: Models) -> None:
        self._run, self._batch_id, self._seen = run, batch.batch_id, seen
        self._models = models
        self.waiting: set[str] = set()
        self.judged: set[str] = set()
        self.answered: set[str] = set()
        self.broken: dict[str, str] = {}

    async def read(self) -> None:
        """Read the results once, and settle what they say, some lines at a time.

        Raises:
            CallFailed: they could not be had, or were cut; what was read before is settled.
        """
        lines: list[ResultLine] = []
        weight = 0
        async with self._run.reading:
            try:
                async for line in self._run.gateway.batch_results(self._seen):
                    lines.append(line)
                    weight += len(line.raw)
                    if len(lines) == _GROUP or weight >= _GROUP_BYTES:
                        full, lines, weight = lines, [], 0
                        await self._settle(full)
            finally:
                await self._settle(lines)
        unsettled = await self._run.ledger.off_loop(batch_attempts.ids_of, self._batch_id, UNSETTLED_STATES)
        self.waiting = unsettled - self.judged

    async def _settle(self, lines: Sequence[ResultLine]) -> None:
        """Settle what some lines say of attempts of the batch that were not judged before.

        An answer is billed, whatever another line says of its item: it is taken in before the others of these lines, and
        booked after one of earlier ones.
        """
        lines = sorted(lines, key=lambda line: not _is_answer(line))
        new = [line for line in lines if line.custom_id and self._is_new(line, line.custom_id)]
        ids = {line.custom_id for line in new if line.custom_id}
        if not ids:
            return
        found = await self._run.ledger.off_loop(batch_attempts.attempts_named, self._batch_id, ids)
        of_lines = {attempt.attempt_id: attempt for attempt in found}
        group: list[Settlement] = []
        for line in new:
            attempt = of_lines.get(AttemptId(line.custom_id or ""))
            if attempt is None or not self._is_new(line, attempt.attempt_id):
                continue
            if _is_answer(line):
                self.answered.add(attempt.attempt_id)
            if attempt.state not in UNSETTLED_STATES and not _is_answer(line):
                # whoever closed it without one was right
                self.judged.add(attempt.attempt_id)
            else:
                group += self._judged(attempt, line)
        for late in await self._run.ledger.off_loop(batch_attempts.settle_items, group):
            log.error(
                "Attempt %s of batch %s was closed without its usage, which came after all: what it cost is booked.",
                late,
                self._batch_id,
            )

    def _is_new(self, line: ResultLine, attempt_id: str) -> bool:
        """Whether a line says something of an attempt that is not known yet."""
        return attempt_id not in self.judged or (_is_answer(line) and attempt_id not in self.answered)

    def _judged(self, attempt: UnsettledAttempt, line: ResultLine) -> list[Settlement]:
        """The settlement of an item; none of a line that may have been cut on its way."""
        if line.found is None:
            self.broken[attempt.attempt_id] = line.raw
            return []
        self.judged.add(attempt.attempt_id)
        self.broken.pop(attempt.attempt_id, None)
        return [self._line_end(attempt, line)]

    def _line_end(self, attempt: UnsettledAttempt, line: ResultLine) -> Settlement:
        """The end of one item from its line; whatever is odd about the line concerns this item only."""
        ended_at = self._seen.ended_at or datetime.now(UTC)
        try:
            end = item_end(self._run, attempt, _result_of(line), self._models, ended_at)
        except Exception as error:  # noqa: BLE001 - the boundary of a line
            log.error(  # noqa: TRY400 - a traceback may quote the line
                "The result of attempt %s could not be judged (%s).", attempt.attempt_id, type(error).__name__
            )
            end = unknown(attempt.attempt_id, f"its result cannot be judged ({type(error).__name__})")
        return replace(end, response=line.raw) if end.state is AttemptState.UNKNOWN else end


def _result_of(line: ResultLine) -> Any:
    return line.found.get("result") if isinstance(line.found, dict) else None


def _is_answer(line: ResultLine) -> bool:
    """Whether a line says that its item was answered, which alone is billed."""
    result = _result_of(line)
    return isinstance(result, dict) and result.get("type") == "succeeded"


def item_end(
    run: Run, attempt: UnsettledAttempt, result: Any, models: Models, ended_at: datetime
) -> Settlement:
    """The end of one item of a batch that ended then. Only `succeeded` is billed (source: Anthropic batch processing page, 2026-10-08)."""
    if not isinstance(result, dict):
        return unknown(attempt.attempt_id, "its result is not an object")
    match result.get("type"):
        case "succeeded":
            end = run.judged(_answered(attempt, result.get("message"), models, ended_at), attempt.expects)
            if end.charge is not None:
                run.caching.measured(attempt.prefix_key, end.charge, is_prime=attempt.is_prime)
            return end
        case "errored":
            return _errored(run, attempt, result.get("error"))
        case "expired":
            return batch_left_it(attempt.attempt_id, Reason.BATCH_EXPIRED)
        case "canceled":
            return batch_left_it(attempt.attempt_id, Reason.BATCH_CANCELED)
        case _:
            return unknown(attempt.attempt_id, "its result is of a kind that is not known")


def _errored(run: Run, attempt: UnsettledAttempt, error: Any) -> Settlement:
    stated = ApiError.of(error.get("error")) if isinstance(error, dict) else None
    if stated is None:
        # that it is errored says that it was not billed, whatever the error is
        return item_failed(attempt, Transient("errored, and its error cannot be read"))
    failure = failure_of_item(stated)
    run.halt.stop(stops_run(failure))
    return item_failed(attempt, failure)


def _answered(attempt: UnsettledAttempt, message: Any, models: Models, ended_at: datetime) -> Settlement:
    try:
        answer = Answer.model_validate(message)
    except ValidationError:
        return unknown(attempt.attempt_id, "its answer or usage cannot be read (billing partial)")
    try:
        cards = _cards(attempt, models, ended_at)
    except Unpriced as error:
        return unknown(attempt.attempt_id, str(error))
    terms = billing_terms(attempt.traits, attempt.cache_ttl, batch=True)
    body = json_text(message)
    return dearest([answered(attempt.attempt_id, card, answer, body, terms) for card in cards])


def _cards(attempt: UnsettledAttempt, models: Models, ended_at: datetime) -> list[PriceCard]:
    """The prices on each UTC day that an item may have been billed on: it is answered within 24 hours after it left.

    Raises:
        Unpriced: no price is known on one of them.
    """
    left_at = attempt.left_at.astimezone(UTC)
    days = [left_at]
    if ended_at.astimezone(UTC).date() > left_at.date():
        days.append(left_at + timedelta(1))
    return [models.price_card(attempt.model, day) for day in days]
