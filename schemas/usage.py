"""What the provider says an answer used. Source: Anthropic Messages API reference, the `usage` object."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: why an answer ended: at its max_tokens, or because the model refused (source: Anthropic stop reasons page, 2026-10-08)
CUT_OFF, REFUSED = "max_tokens", "refusal"
#: far above any answer, and within what every database takes as an integer
MOST_TOKENS = 2**31 - 1


def _whole(value: Any) -> Any:
    """A float that is whole as the integer it stands for; anything else as it came."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS, strict=True), BeforeValidator(_whole)]


class CacheCreation(BaseModel):
    """Cache writes by time to live, in tokens."""

    model_config = ConfigDict(extra="allow")

    ephemeral_5m_input_tokens: _Tokens = 0
    ephemeral_1h_input_tokens: _Tokens = 0

    @property
    def total(self) -> int:
        return self.ephemeral_5m_input_tokens + self.ephemeral_1h_input_tokens


class OutputDetails(BaseModel):
    """What the output was. Thinking is part of the output tokens, and billed as them."""

    model_config = ConfigDict(extra="allow")

    thinking_tokens: _Tokens | None = None


class ServerToolUse(BaseModel):
    """How often the provider's own tools were used. A search has a price of its own, a fetch has none."""

    model_config = ConfigDict(extra="allow")

    web_search_requests: _Tokens | None = None
    web_fetch_requests: _Tokens | None = None
    code_execution_requests: _Tokens | None = None


class Usage(BaseModel):
    """Billed tokens of one answer. `input_tokens` is only the part after the last cache breakpoint.

    Fields that are not named here are kept as they came.
    """

    model_config = ConfigDict(extra="allow")

    input_tokens: _Tokens
    output_tokens: _Tokens
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    #: one entry for each part of an answer that several models or compactions made; each has its own price
    iterations: list[Any] | None = None

    @property
    def cache_write_tokens(self) -> int:
        """The larger of the total and the sum by time to live."""
        by_life = self.cache_creation.total if self.cache_creation else 0
        return max(self.cache_creation_input_tokens or 0, by_life)

    @property
    def cache_read_tokens(self) -> int:
        return self.cache_read_input_tokens or 0

    @property
    def thinking_tokens(self) -> int | None:
        return self.output_tokens_details.thinking_tokens if self.output_tokens_details else None

    @property
    def web_searches(self) -> int:
        return (self.server_tool_use.web_search_requests or 0) if self.server_tool_use else 0

    @property
    def code_executions(self) -> int:
        return (self.server_tool_use.code_execution_requests or 0) if self.server_tool_use else 0


class Answer(BaseModel):
    """The parts of a Messages answer that must be there before it counts as one."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: Annotated[str, Field(pattern="^message$")]
    model: str
    content: list[dict[str, Any]]
    #: some endpoints leave it out
    stop_reason: str | None = None
    #: of a refusal: an object whose `category` says why
    stop_details: Any = None
    usage: Usage
