"""Which models may be called in a run, what they read and take, and at what price."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from rules.prices import PriceCard, Unpriced
from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload.api_rules import limits_of
from schemas.payload.traits import Traits
from schemas.policy import Policy

#: a model that retires sooner is warned of
RETIRES_SOON = timedelta(days=30)
#: the longest a batch takes (source: Anthropic batch processing page, 2026-10-08)
BATCH_TAKES = timedelta(hours=24)
#: more input tokens than any model reads
_UNLIMITED = 2**31


class Models:
    """The models of a run: those that the provider lists, and those of them that may be called.

    Attributes:
        listed: what the provider says of every model it serves, by id.
        callable: the same of the models that were judged and may be called in this run.
    """

    def __init__(self, policy: Policy, listed: Iterable[ModelFacts] = ()) -> None:
        self._policy = policy
        self.listed: dict[str, ModelFacts] = {facts.model: facts for facts in listed}
        self.callable: dict[str, ModelFacts] = {}
        self._judged: dict[str, str | None] = {}
        self._cards: dict[tuple[str, date], PriceCard] = {}

    @property
    def largest(self) -> str:
        """The model of the last route."""
        return self._policy.routes[-1].model

    def is_judged(self, model: str) -> bool:
        """Whether it is known already if the model may be called."""
        return model in self._judged

    def why_not(self, model: str, facts: ModelFacts | None, now: datetime) -> str | None:
        """Why a model cannot be called in this run, or None when it can; judged once.

        A model without a price, unknown to the provider or retired is never called, nor one in a batch that takes
        none or retires before the batch has surely ended.

        Args:
            model: its id or alias.
            facts: what the provider says of it; None: it knows none of that name.
            now: the moment.
        """
        if model not in self._judged:
            self._judged[model] = self._judge(model, facts, now)
            if facts is not None and self._judged[model] is None:
                self.callable[model] = facts
        return self._judged[model]

    def _judge(self, model: str, facts: ModelFacts | None, now: datetime) -> str | None:
        if facts is None:
            return f"the provider knows no model {model}"
        if facts.lifecycle == "retired":
            return f"{model} is retired: the provider no longer answers for it"
        if self._policy.mode is Mode.BATCHES and (why := _no_batches(facts, now)):
            return why
        try:
            self.price_card(model, now)
        except Unpriced as error:
            return str(error)
        return None

    def price_card(self, model: str, on: datetime) -> PriceCard:
        """The prices of a model, whether or not it may still be called, on the UTC day of a call.

        Raises:
            Unpriced: no price is known for it on that day.
        """
        key = (model, on.date())
        if key not in self._cards:
            self._cards[key] = PriceCard(model, on, self._policy)
        return self._cards[key]

    def price_terms(self, now: datetime) -> list[str]:
        """What the prices of the models that the policy names are at a moment, as text, in the order of their names.

        Raises:
            Unpriced: no price is known for one of them.
        """
        named = {one.model for one in self._policy.routes} | {self._policy.jobs.model}
        return [self.price_card(model, now).terms for model in sorted(filter(None, named))]

    def reads(self, model: str, traits: Traits) -> int:
        """The most input tokens that a model reads of such a payload, over all of its sampling calls."""
        facts = self.callable.get(model)
        return _UNLIMITED if facts is None else input_limit(facts, traits)

    def for_pin(self, pin: str | None) -> list[ModelFacts]:
        """The models that a job could go to; of a pin that the provider does not list, nothing is known yet."""
        if pin is None:
            return [self.callable[route.model] for route in self._policy.routes]
        return [self.listed[pin]] if pin in self.listed else []


def input_limit(facts: ModelFacts, traits: Traits) -> int:
    """The most input tokens that a model reads of a payload, over all of its sampling calls."""
    window = limits_of(facts).context_window
    return _UNLIMITED if window is None else window * (traits.uncounted.sampling_calls or 1)


def nearing_its_end(facts: ModelFacts, now: datetime) -> str | None:
    """How a model nears its end, or None while it does not."""
    words = []
    if facts.lifecycle == "deprecated":
        words.append("is deprecated")
    soon = facts.retires_at is not None and facts.retires_at < now + RETIRES_SOON
    if facts.retires_at is not None and (words or soon):
        words.append(_retires(facts.retires_at, now))
    return " and ".join(words) or None


def _retires(at: datetime, now: datetime) -> str:
    """That a model retires, or was to: the provider says whether it still answers."""
    return f"{'retires' if now < at else 'was to retire'} on {at:%Y-%m-%d}"


def _no_batches(facts: ModelFacts, now: datetime) -> str | None:
    """Why a model cannot be called in a batch that starts now, or None when it can."""
    if facts.batch is False:
        return f"{facts.model} does not answer in batches"
    if facts.retires_at is not None and facts.retires_at < now + BATCH_TAKES:
        return f"{facts.model} {_retires(facts.retires_at, now)}, before a batch would surely have ended"
    return None


def heaviest(counted: Mapping[str, int]) -> str | None:
    """The model under which a job weighs most, or None of no count."""
    return max(counted, key=counted.__getitem__, default=None)
