"""Settle: what an answer's usage comes to, as the end of its attempt. One place, for both modes."""

from schemas.job import AttemptId
from schemas.outcome import AttemptState, Outcome
from schemas.usage import Answer, Usage
from services.ledger.settling import Settlement
from services.prices import BilledTokens, PriceCard


def billed(usage: Usage) -> BilledTokens:
    """Usage by rate. Writes without a breakdown by time to live are taken at the dearer rate."""
    written = usage.cache_write_tokens
    short = usage.cache_creation.ephemeral_5m_input_tokens if usage.cache_creation else 0
    return BilledTokens(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_write_5m=min(short, written),
        cache_write_1h=written - min(short, written),
        cache_read=usage.cache_read_tokens,
    )


def succeeded(
    attempt_id: AttemptId, card: PriceCard, answer: Answer, body: str, *, batch: bool = False
) -> Settlement:
    """The end of an answered attempt.

    Args:
        attempt_id: the attempt.
        card: the prices of its model.
        answer: the answer, its usage checked.
        body: the same as JSON text.
        batch: it went out in a Message Batch.
    """
    usage = answer.usage
    return Settlement(
        attempt_id,
        AttemptState.SUCCEEDED,
        Outcome.SUCCEEDED,
        cost=card.price(billed(usage), batch=batch),
        input_tokens=usage.total_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
        usage=usage.model_dump(mode="json"),
        stop_reason=answer.stop_reason,
        response=body,
    )
