"""A contract's price of a model: rates in place of the list's, or a discount on them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from schemas.policy_sections import PolicySection, Tokens, exact_decimal

#: the rates of a contract price, in the order that prices have them everywhere
RATES = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_write_5m_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "cache_read_usd_per_mtok",
)
#: USD per million tokens. Few enough digits that every product of a price is exact
Rate = Annotated[Decimal, BeforeValidator(exact_decimal), Field(ge=0, max_digits=10, decimal_places=6)]


class Price(PolicySection):
    """What a contract says of a model's price: rates in place of the list's, or a discount on the list's.

    Rates are final: no discount is taken off them. A model's own discount goes before one for "*", all models.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    model: Annotated[str, Field(min_length=1)]
    input_usd_per_mtok: Rate | None = None
    output_usd_per_mtok: Rate | None = None
    cache_write_5m_usd_per_mtok: Rate | None = None
    cache_write_1h_usd_per_mtok: Rate | None = None
    cache_read_usd_per_mtok: Rate | None = None
    #: the rates hold for requests of more input tokens than this, cached ones included; None: for requests of any size
    above_input_tokens: Tokens | None = None
    discount_percent: (
        Annotated[
            Decimal, BeforeValidator(exact_decimal), Field(gt=0, le=100, max_digits=5, decimal_places=2)
        ]
        | None
    ) = None
    #: the first and the last UTC day it holds
    first_day: date | None = Field(default=None, alias="from")
    last_day: date | None = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        has_rates = any(rate is not None for rate in self.rates)
        if has_rates == (self.discount_percent is not None):
            raise ValueError("give either rates or a discount_percent")
        if self.model == "*" and has_rates:
            raise ValueError("only a discount_percent can be for all models")
        if self.above_input_tokens is not None and not has_rates:
            raise ValueError("above_input_tokens belongs to rates; a discount is on all of them")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError("its last day is before its first")
        return self

    @property
    def rates(self) -> tuple[Decimal | None, ...]:
        """The rates in the order of `RATES`; None: the list's."""
        return tuple(getattr(self, name) for name in RATES)

    def holds_for(self, model: str, day: date) -> bool:
        """Whether it says something of a model's price on a UTC day."""
        return (
            self.model in (model, "*")
            and (self.first_day or day) <= day
            and (self.last_day is None or day <= self.last_day)
        )

    def contradicts(self, other: "Price") -> bool:
        """Whether both would be the one price of the same requests on some day."""
        same = (
            self.model == other.model
            and self.above_input_tokens == other.above_input_tokens
            and (self.discount_percent is None) == (other.discount_percent is None)
        )
        return (
            same
            and (self.first_day or date.min) <= (other.last_day or date.max)
            and (other.first_day or date.min) <= (self.last_day or date.max)
        )
