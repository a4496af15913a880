"""What the Messages API refuses of a payload under a model, known beforehand: the data of api_rules.toml, applied.

What GET /v1/models states goes before the table. A model that neither knows refuses nothing here: count_tokens judges
it, before money moves.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload.traits import Traits

#: what a rule may look at besides the traits: the cap on output, in tokens
MAX_TOKENS = "max_tokens"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ruling(_Data):
    """Why something is refused, and what to do about it."""

    reason: str
    fix: str
    source: str

    @property
    def sentence(self) -> str:
        return f"{self.reason}; {self.fix}"


class RefusedParameters(Ruling):
    """Parameters that a job cannot have."""

    names: tuple[str, ...]


class VersionLimits(_Data):
    """Figures of the API version, the same for every model."""

    messages: int
    cache_markers: int
    thinking_budget_tokens: int
    tool_name: re.Pattern[str]


class Rule(_Data):
    """What a model, or every model, refuses of one trait; api_rules.toml says how it is read."""

    column: str
    trait: str
    taken: str | None = None
    modes: frozenset[Mode] = frozenset(Mode)
    when: dict[str, frozenset[str]] = {}
    reason: str
    fix: str = ""
    fixes: dict[str, str] = {}
    source: str


class ModelLimits(_Data):
    """What a model takes. None: not known, so nothing is refused for it.

    `context_window`, `max_tokens`, `image_tokens` (the most one image can be) and `cache_tokens` (the shortest prefix
    that is cached) are tokens.
    """

    names: tuple[str, ...] = ()
    context_window: int | None = None
    max_tokens: int | None = None
    image_tokens: int | None = None
    cache_tokens: int | None = None
    thinking: frozenset[str] | None = None
    efforts: frozenset[str] | None = None
    efforts_while_off: frozenset[str] | None = None
    prefill: bool | None = None
    forced_tool: bool | None = None
    inference_geo: bool | None = None
    fast: bool | None = None
    images: bool | None = None
    pdfs: bool | None = None
    structured_outputs: bool | None = None


class PartBound(_Data):
    """The most that a part of a payload can be which the provider does not count."""

    block: str | None = None
    sources: frozenset[str] = frozenset()
    tool: str | None = None
    needs: tuple[str, ...] = ()
    at_most: Literal["image_tokens", "context_window"]
    searches: bool = False
    source: str


class ClientTools(_Data):
    """Starts of the types of tools that run at the caller."""

    client: tuple[str, ...]
    source: str


class ApiRules(_Data):
    """The whole of api_rules.toml."""

    version: str
    as_of: str
    limits: VersionLimits
    #: each in the order of the file: efforts from the lowest to the highest
    values: dict[str, tuple[str, ...]]
    image_starts: dict[str, str]
    parameters: tuple[RefusedParameters, ...]
    blocks: dict[str, Ruling]
    rules: tuple[Rule, ...]
    models: tuple[ModelLimits, ...] = Field(min_length=1)
    bounds: tuple[PartBound, ...]
    tools: ClientTools

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        traits = {field.name for field in fields(Traits)} | {MAX_TOKENS}
        for rule in self.rules:
            if unknown := {rule.trait, *rule.when} - traits:
                raise ValueError(f"a rule for {rule.column} looks at {min(unknown)}, which no payload has")
            if rule.taken is not None and rule.taken not in ModelLimits.model_fields:
                raise ValueError(f"a rule for {rule.column} looks at {rule.taken}, which no model has")
        return self


RULES = ApiRules.model_validate(
    tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
)

_TABLE = {name: limits for limits in RULES.models for name in limits.names}
_UNKNOWN_MODEL = ModelLimits()


@dataclass(frozen=True, slots=True)
class ModelRefusal:
    """What a model refuses.

    Attributes:
        column: where it stands in a row.
        reason: what is refused.
        fix: what to do about it.
        everyone: whether every model refuses it.
    """

    column: str
    reason: str
    fix: str
    everyone: bool


@cache
def limits_of(facts: ModelFacts) -> ModelLimits:
    """What a model takes: as the provider states it, else by the table, else not known."""
    table = _TABLE.get(facts.model, _UNKNOWN_MODEL)
    stated = {
        "context_window": facts.max_input_tokens,
        "max_tokens": facts.max_tokens,
        "thinking": facts.thinking,
        "efforts": facts.efforts,
        "images": facts.images,
        "pdfs": facts.pdfs,
        "structured_outputs": facts.structured_outputs,
    }
    return table.model_copy(update={name: value for name, value in stated.items() if value is not None})


def refusal(traits: Traits, max_tokens: int, facts: ModelFacts, mode: Mode) -> ModelRefusal | None:
    """Why a model would refuse a payload, or None when nothing is known against it.

    Args:
        max_tokens: the payload's cap on output, in tokens.
        facts: what the provider says of the model.
    """
    limits = limits_of(facts)
    for rule in RULES.rules:
        value = max_tokens if rule.trait == MAX_TOKENS else getattr(traits, rule.trait)
        if value is None or value is False or mode not in rule.modes:
            continue
        if any(getattr(traits, trait) not in values for trait, values in rule.when.items()):
            continue
        taken = getattr(limits, rule.taken) if rule.taken else False
        if not _takes(taken, value):
            fix = rule.fixes.get(str(value), rule.fix)
            return ModelRefusal(
                rule.column, rule.reason.format(value=value, taken=taken), fix, not rule.taken
            )
    return None


def _takes(taken: bool | int | frozenset[str] | None, value: object) -> bool:
    if taken is None or isinstance(taken, bool):
        return taken is not False
    return value in taken if isinstance(taken, frozenset) else isinstance(value, int) and value <= taken


def sentences(refused: Iterable[tuple[str, ModelRefusal]]) -> str:
    """Refusals by model as one sentence: each one once, with the models that it is true of."""
    models: dict[ModelRefusal, list[str]] = {}
    for model, one in refused:
        models.setdefault(one, []).append(model)
    return "; ".join(
        one.reason + ("" if one.everyone else f" by {_listed(names)}") + (f" ({one.fix})" if one.fix else "")
        for one, names in models.items()
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
