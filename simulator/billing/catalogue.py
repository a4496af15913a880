"""What the simulator knows of each model: sizes, lifecycle, rules and prices.

Typed in by hand from Anthropic's documentation and shared with nothing else in the project, so that it
stays a second opinion on prices and limits. Money is in integer nano-USD (1e-9 USD) per token; 1 USD per
million tokens is 1,000 nano-USD per token.

Source: Anthropic docs, "Pricing" and "Model deprecations" (2026-10-10), "Thinking" (2026-10-08), "Prompt
caching" (2026-08), release notes to 2026-11-12. The Fable 5.2 cache prices come from third parties and the
tool overheads of the Fable and Mythos models are assumed to be those of their generation. Efforts: the API
names five; that "max" came with Claude 4.6 and "xhigh" with 4.7 is from the models' own pages ("Effort"). The effort
of a request that names none is from "Models overview".
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

Lifecycle = Literal["active", "deprecated", "retired"]

#: Claude 4.7 and later: the scale all token rules are stated in (numerator, denominator)
NEW_TOKENIZER = (1, 1)
#: Claude 4.6 and earlier: the same text gives 1/1.3 of the tokens. Source: Anthropic docs, "Pricing".
OLD_TOKENIZER = (10, 13)

#: the API's own value for a release date that is not known
UNKNOWN_DATE = "1970-01-01T00:00:00Z"

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one token of each kind, in nano-USD.

    Attributes:
        input: uncached input.
        write_5m: input written to the five-minute cache.
        write_1h: input written to the one-hour cache.
        read: input read from the cache.
        output: output, thinking included.
    """

    input: int
    write_5m: int
    write_1h: int
    read: int
    output: int


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
        id: the model id that requests and replies carry.
        display_name: name for people.
        line: model line ("haiku", "sonnet", "opus", "fable", "mythos").
        prices: prices in nano-USD per token.
        prices_above: (threshold, prices): a request whose whole input, cache included, is above the
            threshold (tokens) pays these prices for every one of its tokens. None: one price.
        aliases: other ids that mean this model.
        created_at: release date (RFC 3339).
        lifecycle: "active", "deprecated" or "retired", while `retires_at` has not come; see `lifecycle_at`.
        deprecated_at: date of deprecation (RFC 3339), None if not deprecated or not known.
        retires_at: date of retirement (RFC 3339), None if none is known.
        max_input_tokens: context window, tokens.
        max_tokens: largest accepted `max_tokens`.
        tokenizer: tokens relative to the newest tokenizer, as (numerator, denominator).
        tool_overhead: tokens added when tools are given: (auto or none, any or tool); None in the second
            place means that forcing a tool is refused.
        thinking: accepted values of `thinking.type`.
        thinks: whether a request without `thinking` thinks.
        efforts: accepted values of `output_config.effort`.
        efforts_off: values of effort accepted while thinking is switched off.
        default_effort: the effort of a request that names none; means nothing where `efforts` is empty.
        min_cacheable: shortest prefix that is cached, tokens.
        keeps_thinking: whether thinking of earlier turns stays in the context and is counted.
        prefill: whether a request may end with an assistant message.
        geo: whether `inference_geo` is accepted.
        fast: price multiplier of `speed: "fast"`; 1 is accepted and not faster, None is refused.
    """

    id: str
    display_name: str
    line: str
    prices: Prices
    prices_above: tuple[int, Prices] | None = None
    aliases: tuple[str, ...] = ()
    created_at: str = UNKNOWN_DATE
    lifecycle: Lifecycle = "active"
    deprecated_at: str | None = None
    retires_at: str | None = None
    max_input_tokens: int = 1_000_000
    max_tokens: int = 128_000
    tokenizer: tuple[int, int] = NEW_TOKENIZER
    tool_overhead: tuple[int, int | None] = (286, 406)
    thinking: tuple[str, ...] = ("adaptive", "disabled")
    thinks: bool = True
    efforts: tuple[str, ...] = ALL_EFFORTS
    efforts_off: tuple[str, ...] = ALL_EFFORTS
    default_effort: str = "high"
    min_cacheable: int = 512
    keeps_thinking: bool = True
    prefill: bool = False
    geo: bool = True
    fast: int | None = None

    def lifecycle_at(self, now: datetime) -> Lifecycle:
        """Its lifecycle at a moment: from its retirement on it is retired, whatever it was. Requests naming it then fail."""
        has_ended = self.retires_at is not None and datetime.fromisoformat(self.retires_at) <= now
        return "retired" if has_ended else self.lifecycle


_UP_TO_HIGH = ("low", "medium", "high")
_NO_XHIGH = (*_UP_TO_HIGH, "max")
_ALWAYS = ("adaptive",)
_BUDGET = ("enabled", "disabled")
_BOTH = ("adaptive", "enabled", "disabled")

_FABLE_5_2 = Prices(8_000, 10_000, 16_000, 200, 40_000)
_FABLE_5_1 = Prices(10_000, 12_500, 20_000, 250, 50_000)
_FABLE_5 = Prices(10_000, 12_500, 20_000, 1_000, 50_000)
_OPUS = Prices(5_000, 6_250, 10_000, 500, 25_000)
_OPUS_4_1 = Prices(15_000, 18_750, 30_000, 1_500, 75_000)
_SONNET_4 = Prices(3_000, 3_750, 6_000, 300, 15_000)
_HAIKU_5_5 = Prices(100, 125, 200, 10, 500)
_HAIKU_5_5_LONG = Prices(500, 625, 1_000, 50, 2_500)


def _fable(number: str, prices: Prices, *, forced: int | None, created_at: str = UNKNOWN_DATE) -> list[Model]:
    """The Fable model of one number and its Mythos twin, which share everything but the name."""
    return [
        Model(
            f"claude-{line}-{number.replace('.', '-')}",
            f"Claude {line.title()} {number}",
            line,
            prices,
            created_at=created_at,
            tool_overhead=(286, forced),
            thinking=_ALWAYS,
        )
        for line in ("fable", "mythos")
    ]


def _before_4_6(model: Model) -> Model:
    """The same model with the sizes and rules of the 4.5 generation and earlier."""
    return replace(
        model,
        max_input_tokens=200_000,
        max_tokens=64_000,
        tokenizer=OLD_TOKENIZER,
        thinking=_BUDGET,
        thinks=False,
        prefill=True,
        geo=False,
    )


_NEW = [
    *_fable("5.2", _FABLE_5_2, forced=None, created_at="2026-11-09T00:00:00Z"),
    Model(
        "claude-haiku-5-5", "Claude Haiku 5.5", "haiku", _HAIKU_5_5,
        prices_above=(100_000, _HAIKU_5_5_LONG),
        created_at="2026-10-07T00:00:00Z",
        efforts_off=_UP_TO_HIGH,
        default_effort="medium",
    ),
    Model(
        "claude-sonnet-5-5", "Claude Sonnet 5.5", "sonnet", Prices(2_000, 2_500, 4_000, 100, 10_000),
        tool_overhead=(286, None),
        thinking=("adaptive", "between_tools"),
        efforts_off=_UP_TO_HIGH,
    ),
    *_fable("5.1", _FABLE_5_1, forced=None),
    Model(
        "claude-opus-5-5", "Claude Opus 5.5", "opus", Prices(4_000, 5_000, 8_000, 200, 20_000),
        tool_overhead=(286, None),
        thinking=_ALWAYS,
        default_effort="medium",
        fast=2,
    ),
    Model(
        "claude-sonnet-5", "Claude Sonnet 5", "sonnet", Prices(2_000, 2_500, 4_000, 200, 10_000),
        tool_overhead=(354, 474),
        min_cacheable=1_024,
    ),
    *_fable("5", _FABLE_5, forced=406),
    Model("claude-opus-5", "Claude Opus 5", "opus", _OPUS, efforts_off=_UP_TO_HIGH, fast=2),
    Model(
        "claude-opus-4-8", "Claude Opus 4.8", "opus", _OPUS,
        created_at="2026-05-28T00:00:00Z",
        tool_overhead=(290, 410),
        thinks=False,
        min_cacheable=1_024,
        fast=2,
    ),
    Model(
        "claude-opus-4-7", "Claude Opus 4.7", "opus", _OPUS,
        tool_overhead=(675, 804),
        thinks=False,
        min_cacheable=2_048,
    ),
]  # fmt: skip

_OLD = [
    Model(
        "claude-sonnet-4-6", "Claude Sonnet 4.6", "sonnet", _SONNET_4,
        created_at="2026-02-17T00:00:00Z",
        tokenizer=OLD_TOKENIZER,
        tool_overhead=(497, 589),
        thinking=_BOTH,
        thinks=False,
        efforts=_NO_XHIGH,
        efforts_off=_NO_XHIGH,
        min_cacheable=1_024,
        fast=1,
    ),
    Model(
        "claude-opus-4-6", "Claude Opus 4.6", "opus", _OPUS,
        created_at="2026-02-05T00:00:00Z",
        tokenizer=OLD_TOKENIZER,
        tool_overhead=(497, 589),
        thinking=_BOTH,
        thinks=False,
        efforts=_NO_XHIGH,
        efforts_off=_NO_XHIGH,
        min_cacheable=4_096,
        fast=1,
    ),
    _before_4_6(Model(
        "claude-opus-4-5-20251101", "Claude Opus 4.5", "opus", _OPUS,
        aliases=("claude-opus-4-5",),
        created_at="2025-11-24T00:00:00Z",
        tool_overhead=(496, 588),
        efforts=_UP_TO_HIGH,
        min_cacheable=4_096,
    )),
    _before_4_6(Model(
        "claude-haiku-4-5-20251001", "Claude Haiku 4.5", "haiku", Prices(1_000, 1_250, 2_000, 100, 5_000),
        aliases=("claude-haiku-4-5",),
        created_at="2025-10-15T00:00:00Z",
        tool_overhead=(496, 588),
        efforts=(),
        min_cacheable=4_096,
        keeps_thinking=False,
    )),
    _before_4_6(Model(
        "claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "sonnet", _SONNET_4,
        aliases=("claude-sonnet-4-5",),
        created_at="2025-09-29T00:00:00Z",
        lifecycle="deprecated",
        retires_at="2026-11-30T00:00:00Z",
        tool_overhead=(496, 588),
        efforts=(),
        min_cacheable=1_024,
        keeps_thinking=False,
    )),
    _before_4_6(Model(
        "claude-opus-4-1-20250805", "Claude Opus 4.1", "opus", _OPUS_4_1,
        aliases=("claude-opus-4-1",),
        created_at="2025-08-05T00:00:00Z",
        lifecycle="retired",
        efforts=(),
    )),
    _before_4_6(Model(
        "claude-sonnet-4-20250514", "Claude Sonnet 4", "sonnet", _SONNET_4,
        aliases=("claude-sonnet-4-0",),
        created_at="2025-05-22T00:00:00Z",
        lifecycle="retired",
        efforts=(),
    )),
]  # fmt: skip

#: every known model, newest first
MODELS: tuple[Model, ...] = (*_NEW, *_OLD)

_BY_ID = {name: model for model in MODELS for name in (model.id, *model.aliases)}


def find_model(model_id: str) -> Model | None:
    """The model of an id or alias, retired ones included; None if there is no such model."""
    return _BY_ID.get(model_id)
