"""Check a quote: whether a run may start that is held to it."""

from datetime import UTC, datetime

from rules.caps import caps_of
from rules.quote_terms import broken_terms, caps_below, policy_digest, prices_digest
from rules.scale import Scale
from schemas.errors import BadInput
from schemas.quote import QuoteTerms
from schemas.run import RunOptions
from services.job_file import JobFile
from services.ledger import quotes
from services.ledger.windows import used_in_windows
from tasks.run import Run


def terms_of(file: JobFile | None, limit: int | None, scale: Scale, now: datetime) -> QuoteTerms:
    """What a quote of these rows holds for at a moment.

    Args:
        file: the checked file; None: there is none.
        limit: only its first rows, at most this many.
        scale: the policy and its models.
        now: the moment, whose prices hold.

    Raises:
        BadInput: the file cannot be read any more.
    """
    return QuoteTerms(
        jobs="" if file is None else file.digest(limit),
        policy=policy_digest(scale.policy),
        prices=prices_digest(scale.models, now),
    )


def check_quote(run: Run, quote_id: str, file: JobFile | None, options: RunOptions) -> None:
    """Check that a quote still holds for a run, and that no cap is below what it may well cost.

    Args:
        run: the run, not on record yet.
        quote_id: the quote.
        file: the run's job file.
        options: what was asked of the run.

    Raises:
        BadInput: there is no such quote, or it does not hold. Nothing was counted or sent.
    """
    if options.resubmit_approved:
        raise BadInput(
            f"The quote {quote_id} is about the job file alone; send what was approved in another run. Nothing was sent."
        )
    quote = quotes.find(run.ledger, quote_id)
    if quote is None:
        raise BadInput(
            f"There is no quote {quote_id} in {run.ledger.url}. `weighbridge quote` makes one; nothing was sent."
        )
    now = datetime.now(UTC)
    terms = terms_of(file, options.limit, run.scale, now)
    if broken := broken_terms(quote, terms):
        raise BadInput(
            f"The quote {quote_id} does not hold for this run: {'; '.join(broken)}. Quote again; nothing was sent."
        )
    caps = caps_of(run.policy, run.run_id, now)
    used = used_in_windows(run.ledger, [cap.window for cap in caps])
    if below := caps_below(quote, caps, used):
        raise BadInput(
            f"A cap would cut the run of quote {quote_id} short: {'; '.join(below)}. Raise it, or run without --quote "
            "to send what fits; nothing was sent."
        )
