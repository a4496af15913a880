"""What the provider says an answer used. Source: Anthropic Messages API reference, the `usage` object."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_Tokens = Annotated[int, Field(ge=0, strict=True)]


class CacheCreation(BaseModel):
    """Cache writes by time to live, in tokens."""

    ephemeral_5m_input_tokens: _Tokens = 0
    ephemeral_1h_input_tokens: _Tokens = 0


class Usage(BaseModel):
    """Billed tokens of one answer. `input_tokens` is only the part after the last cache breakpoint."""

    model_config = ConfigDict(extra="allow")

    input_tokens: _Tokens
    output_tokens: _Tokens
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None
    cache_creation: CacheCreation | None = None

    @property
    def cache_write_tokens(self) -> int:
        if self.cache_creation_input_tokens is None and self.cache_creation:
            return (
                self.cache_creation.ephemeral_5m_input_tokens + self.cache_creation.ephemeral_1h_input_tokens
            )
        return self.cache_creation_input_tokens or 0

    @property
    def cache_read_tokens(self) -> int:
        return self.cache_read_input_tokens or 0

    @property
    def total_input_tokens(self) -> int:
        """What to compare with the count: uncached, written and read."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens


class Answer(BaseModel):
    """The parts of a Messages answer that must be there before it counts as one."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: Annotated[str, Field(pattern="^message$")]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    usage: Usage
