"""The quote as people and programs read it, made of its tally."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.quote_policies import other_name, own_name
from rules.quote_sum import QuoteSum
from rules.quote_tally import CachedSum, QuoteTally
from rules.quoted_caps import QuotedCap
from rules.run_outcome import RunFacts, run_outcome
from rules.run_time import RatesPerMinute, batch_seconds, counting_seconds, sending_seconds
from schemas.money import to_usd
from schemas.outcome import Mode, Outcome, Reason, Scope
from schemas.policy import Policy
from schemas.quote import (
    CapInTheWay,
    QuotedCalls,
    QuotedDeadline,
    QuotedGroup,
    QuotedJobs,
    QuotedModel,
    QuotedPolicy,
    QuotedReason,
    QuotedSeconds,
    QuotedUsd,
    QuoteReport,
)
from schemas.run import Deadline


@dataclass(frozen=True, slots=True)
class AccountRates:
    """What the account lets leave in a minute: counts, and paid calls by model."""

    counts: int
    messages: Mapping[str, RatesPerMinute]


def quote_figures(tally: QuoteTally, caps: Sequence[QuotedCap], policy: Policy) -> QuoteReport:
    """The figures of a quote, but for its id, its places and its times.

    Args:
        tally: the rows.
        caps: today's caps that would defer jobs.
        policy: the run's own.
    """
    rows = tally.rows
    # a cap defers jobs that are priced; a job in flight elsewhere is deferred without a price
    elsewhere, deferred = rows[Outcome.DEFERRED], sum(cap.jobs for cap in caps)
    jobs = QuotedJobs(
        read=rows.total() + tally.shared,
        priced=rows[None] - deferred,
        answered=rows[Outcome.SUCCEEDED],
        again=tally.again.total(),
        review=rows[Outcome.REVIEW] + rows[Outcome.UNKNOWN],
        deferred=elsewhere + deferred,
        rejected=rows[Outcome.REJECTED],
        uncounted=rows[Outcome.FAILED],
        shared=tally.shared,
    )
    facts = RunFacts(
        rows={
            Outcome.REJECTED: jobs.rejected,
            Outcome.FAILED: jobs.uncounted,
            Outcome.UNKNOWN: rows[Outcome.UNKNOWN],
            Outcome.DEFERRED: jobs.deferred,
        },
        reasons={
            Outcome.DEFERRED: {Reason.RUN_BUDGET} if deferred else set(),
            Outcome.REVIEW: {reason for outcome, reason in tally.reasons if outcome is Outcome.REVIEW},
        },
        rejected_by_reviewer=tally.reasons[Outcome.REJECTED, Reason.REJECTED_BY_REVIEWER],
    )
    return QuoteReport(
        quote_id="",
        outcome=run_outcome(facts),
        mode=policy.mode,
        jobs=jobs,
        policies=[
            QuotedPolicy(name=name, review=one.review, **_usd(one.sums), **_cached(one.sums, one.caching))
            for name, one in tally.policies.items()
        ],
        models=[QuotedModel(model=name, **_usd(one)) for name, one in sorted(tally.models.by_name.items())],
        groups=[QuotedGroup(group=name, **_usd(one)) for name, one in sorted(tally.groups.by_name.items())],
        reasons=_reasons(tally),
        caps=[_in_the_way(one) for one in caps],
    )


def _cached(sums: QuoteSum, caching: CachedSum | None) -> dict[str, Any]:
    """What a policy would cost with caching, at both ends."""
    if caching is None:
        return {}
    return {
        "cached_low_usd": to_usd(sums.expected - caching.low),
        "cached_high_usd": to_usd(sums.expected - caching.high),
        "cached_prefixes": caching.prefixes,
        "primes_usd": to_usd(caching.primes),
    }


def with_times(
    report: QuoteReport, tally: QuoteTally, rates: AccountRates, policy: Policy, counted: int
) -> QuoteReport:
    """The quote with how long the run takes, and its calls.

    Args:
        report: the quote.
        tally: the rows.
        rates: of the account.
        policy: the run's own.
        counted: calls to count_tokens that the quote made.
    """
    paid = sum(load.requests for load in tally.loads.values())
    counting = counting_seconds(counted, rates.counts)
    seconds = QuotedSeconds(
        messages=counting + sending_seconds(tally.loads, rates.messages),
        batches=counting + batch_seconds(paid, policy.batch.max_queued_requests),
    )
    message = paid if policy.mode is Mode.MESSAGES else 0
    return report.model_copy(
        update={"seconds": seconds, "calls": QuotedCalls(count=counted, message=message)}
    )


def quoted_deadline(
    tally: QuoteTally, deadline: Deadline, policy: Policy, used: int
) -> QuotedDeadline | None:
    """What the jobs cost in batches, and what they would cost if all of them went out when they are due.

    Args:
        tally: the rows.
        deadline: of the run.
        policy: the run's own.
        used: nano-USD settled and held in the deadline's window by other runs.

    Returns:
        None where the run's own policy was compared with no other.
    """
    own, other = tally.policies[own_name(policy)], tally.policies.get(other_name(policy))
    budget = policy.cap(Scope.DEADLINE)
    if other is None or budget is None:
        return None
    return QuotedDeadline(
        due=deadline.due,
        at_risk_from=deadline.at_risk_from,
        in_time=QuotedUsd(**_usd(own.sums)),
        all_at_deadline=QuotedUsd(**_usd(other.sums)),
        budget_usd=to_usd(budget),
        covered=used + other.sums.p90 + policy.hold.reserve <= budget,
    )


def _usd(sums: QuoteSum) -> dict[str, Any]:
    return {
        "jobs": sums.jobs,
        "input_tokens": sums.input_tokens,
        "expected_usd": to_usd(sums.expected),
        "p10_usd": to_usd(sums.p10),
        "p90_usd": to_usd(sums.p90),
        "worst_usd": to_usd(sums.worst_case),
        "observed_answers": sums.observed,
        "assumed_jobs": sums.assumed,
    }


def _reasons(tally: QuoteTally) -> list[QuotedReason]:
    found = [
        QuotedReason(what=str(outcome), reason=reason, jobs=number)
        for (outcome, reason), number in sorted(tally.reasons.items())
    ]
    found += [
        QuotedReason(what="again", reason=reason, jobs=number)
        for reason, number in sorted(tally.again.items())
    ]
    return found


def _in_the_way(cap: QuotedCap) -> CapInTheWay:
    return CapInTheWay(
        scope=cap.window.scope,
        group=cap.window.group,
        cap_usd=to_usd(cap.cap),
        used_usd=to_usd(cap.used),
        needed_usd=to_usd(cap.needed),
        jobs=cap.jobs,
    )
