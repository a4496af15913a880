"""What an answer's usage comes to: its tokens by rate, its cost, and whether that is all of it."""

from dataclasses import dataclass

from rules.answering_model import bare_name, billed_parts
from rules.prices import BilledTokens, PriceCard
from rules.shown_uses import with_shown_uses
from rules.surcharges import container_seconds, refusal_is_billed
from schemas.attempt import Charge, PaidAttempt
from schemas.money import NanoUsd
from schemas.outcome import Billing
from schemas.payload.payload import CacheTtl
from schemas.payload.traits import Traits
from schemas.usage import REFUSED, Answer, Usage

#: as long as the ledger keeps a word of the usage
_WORD = 40


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """What a request asked for that its bill hangs on, where its usage does not say.

    Attributes:
        cache_ttl: the longest cache life it asked for, if any.
        geo: its `inference_geo`, if any.
        speed: its `speed`, if any.
        batch: it went out in a Message Batch.
        container_seconds: how long its code execution container is taken to be billed for; 0: none, or free.
    """

    cache_ttl: CacheTtl | None = None
    geo: str | None = None
    speed: str | None = None
    batch: bool = False
    container_seconds: int = 0


def billing_terms(traits: Traits, cache_ttl: CacheTtl | None, *, batch: bool = False) -> BillingTerms:
    """What a payload with these traits asked for."""
    return BillingTerms(cache_ttl, traits.geo, traits.speed, batch, container_seconds(traits.uncounted.parts))


def billed(usage: Usage, asked: BillingTerms) -> tuple[BilledTokens, bool]:
    """Usage by rate; and whether it says all of it.

    Cache writes are taken by their time to live; those whose life the usage does not show at the life that the request
    asked for when that was five minutes, else at the higher price. Of two readings that contradict each other the
    larger is taken.
    """
    parts = usage.cache_creation
    total = usage.cache_creation_input_tokens
    short = parts.ephemeral_5m_input_tokens if parts else 0
    unsplit = usage.cache_write_tokens - (parts.total if parts else 0)
    if parts is None and asked.cache_ttl == "5m":
        short, unsplit = unsplit, 0
    thinking = usage.thinking_tokens or 0
    executions = usage.code_executions and asked.container_seconds
    tokens = BilledTokens(
        input=usage.input_tokens,
        output=max(usage.output_tokens, thinking),
        cache_write_5m=short,
        cache_write_1h=usage.cache_write_tokens - short,
        cache_read=usage.cache_read_tokens,
        web_searches=usage.web_searches,
        container_seconds=executions,
    )
    sure = (
        not unsplit
        and (parts is None or total is None or parts.total == total)
        and thinking <= usage.output_tokens
        and not executions
        and not usage.iterations
    )
    return tokens, sure


def priced(card: PriceCard, usage: Usage, asked: BillingTerms) -> tuple[NanoUsd, BilledTokens, Billing]:
    """What a usage comes to in nano-USD, for which tokens, and whether it says all that was billed.

    A tier that is not the one that the request went out in, "priority" included, is settled at the standard price; a
    place or a speed that no price is known for at the highest that is.
    """
    tokens, sure = billed(usage, asked)
    tier = "batch" if asked.batch else "standard"
    as_sent = usage.service_tier in (None, tier)
    cost, known = card.bill(
        tokens,
        batch=asked.batch and as_sent,
        geo=usage.inference_geo or asked.geo,
        speed=usage.speed or asked.speed,
    )
    return cost, tokens, Billing.FULL if sure and as_sent and known else Billing.PARTIAL


def cost_on(card: PriceCard, paid: PaidAttempt) -> int:
    """Nano-USD that a paid request would have cost on another model; 0 where what it was billed for is not known.

    Code execution is left out: it costs the same with any model.

    Args:
        card: the prices of that model.
        paid: the request, as it was billed.
    """
    tokens = _tokens_of(paid)
    if tokens is None:
        return 0
    # another model may have no fast mode to compare with
    speed = (paid.usage or {}).get("speed") if paid.model == card.model else None
    cost, _ = card.bill(tokens, batch=paid.batch_id is not None, geo=paid.inference_geo, speed=speed)
    return cost


def _tokens_of(paid: PaidAttempt) -> BilledTokens | None:
    """What an attempt was billed for; None where it was not billed, or its usage is not known."""
    if paid.billing == Billing.NOT_BILLED:
        return None
    if paid.actual_input_tokens is None or paid.actual_output_tokens is None:
        return None
    write, write_1h = paid.cache_write_tokens or 0, paid.cache_write_1h_tokens or 0
    read = paid.cache_read_tokens or 0
    return BilledTokens(
        paid.actual_input_tokens - write - read,
        paid.actual_output_tokens,
        cache_write_5m=write - write_1h,
        cache_write_1h=write_1h,
        cache_read=read,
        web_searches=paid.web_searches or 0,
    )


def refused_unbilled(answer: Answer, card: PriceCard) -> bool | None:
    """Whether an answer is a refusal that is not billed; None when that is not known.

    Billed is a refusal after output began; before any, by its category.
    """
    if answer.stop_reason != REFUSED or answer.content:
        return False
    if not isinstance(answer.stop_details, dict):
        return None
    billed_for = refusal_is_billed(answer.stop_details.get("category"), card.day)
    return None if billed_for is None else not billed_for


def charge_of(card: PriceCard, answer: Answer, terms: BillingTerms) -> Charge:
    """What an answer comes to: its cost, the tokens it is made of, and whether its usage says all of it.

    Where another model answered, or several, and that comes to more, it is taken and marked as partial; so is what the
    answer shows of the provider's own tools and its usage does not say.

    Args:
        card: the prices of the model that was asked on the day of the call.
        answer: the answer, its usage checked.
        terms: what its request asked for that the bill hangs on.
    """
    as_shown, says_all = with_shown_uses(answer)
    usage = as_shown.usage
    cost, tokens, billing = priced(card, usage, terms)
    other = _cost_by_others(card, as_shown, terms)
    if other > cost or not says_all:
        cost, billing = max(cost, other), Billing.PARTIAL
    match refused_unbilled(answer, card):
        case True:
            cost, billing = NanoUsd(0), Billing.NOT_BILLED
        case None:
            billing = Billing.PARTIAL
    return Charge(
        cost=cost,
        billing=billing,
        input_tokens=tokens.total_input,
        cache_write_tokens=tokens.cache_write_5m + tokens.cache_write_1h,
        cache_write_1h_tokens=tokens.cache_write_1h,
        cache_read_tokens=tokens.cache_read,
        output_tokens=tokens.output,
        thinking_tokens=usage.thinking_tokens,
        web_searches=usage.web_searches,
        service_tier=_word(usage.service_tier),
        inference_geo=_word(usage.inference_geo),
        usage=answer.usage.model_dump(mode="json", exclude_unset=True),
        lacks_output=not tokens.output and _says_something(answer),
    )


def _cost_by_others(card: PriceCard, answer: Answer, terms: BillingTerms) -> NanoUsd:
    """What an answer comes to, in nano-USD, if it is billed by the models that made it and not by the one asked; 0: no."""
    asked = bare_name(card.model)
    if bare_name(answer.model) == asked and not answer.usage.iterations:
        return NanoUsd(0)
    named = [(bare_name(model), usage) for model, usage in billed_parts(answer)]
    cards = [card if name == asked else card.of_answer(name) for name, _ in named]
    return NanoUsd(sum(priced(own, usage, terms)[0] for own, (_, usage) in zip(cards, named, strict=True)))


def _says_something(answer: Answer) -> bool:
    """Whether an answer has a block that is more than an empty text."""
    return any(block.get("type") != "text" or block.get("text") for block in answer.content)


def _word(value: str | None) -> str | None:
    return value[:_WORD] if value else None
