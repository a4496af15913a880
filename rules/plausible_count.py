"""Whether a count can be one: the least that a request's own text can weigh, whatever the tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Any

#: no token of a known vocabulary stands for more bytes of text; the longest are runs of one character, such as blanks
#: (longest entry of the public byte-pair vocabularies: 128 blanks). Ordinary text has 3 to 5 bytes a token
MOST_BYTES_A_TOKEN = 128
#: stands for all that was said before it, which then weighs nothing
_STANDS_FOR_ALL = "compaction"


def least_tokens(request: Mapping[str, Any]) -> int:
    """The fewest input tokens that a Messages request can weigh; 1 or more.

    Only text that the model surely reads as text is weighed: messages, tool results and the system prompt. Images,
    documents, tools and thinking of earlier turns may weigh anything.
    """
    messages = request.get("messages") or ()
    if any(_has_summary(message.get("content")) for message in messages):
        return 1
    said = sum(_text_bytes(message.get("content")) for message in messages)
    return _least_of(said + _text_bytes(request.get("system")))


def impossible_count(request: Mapping[str, Any], tokens: int) -> str | None:
    """Why a number of input tokens cannot be the weight of a request, as a sentence, or None when it can."""
    least = least_tokens(request)
    if tokens >= least:
        return None
    return (
        f"the endpoint counted {tokens:,} input tokens, and its text alone weighs at least {least:,}: that is not a "
        "count, so nothing was sent. Have the endpoint's count_tokens repaired, or use another; the next run counts "
        "the job again"
    )


def is_surely_possible(payload_bytes: int, tokens: int) -> bool:
    """Whether a number of input tokens can be the weight of every request whose JSON has so many bytes.

    Its text has no more bytes than all of it, so the payload itself need not be looked at.
    """
    return tokens >= _least_of(payload_bytes)


def _least_of(text_bytes: int) -> int:
    """The fewest tokens that a text of so many bytes can weigh, rounded up; 1 or more."""
    return max(1, -(-text_bytes // MOST_BYTES_A_TOKEN))


def _text_bytes(content: object) -> int:
    """Bytes of the text in a content: a string, or blocks of which the text ones and tool results are read."""
    if isinstance(content, str):
        return len(content.encode(errors="surrogatepass"))
    if not isinstance(content, Sequence):
        return 0
    return sum(_block_bytes(block) for block in content if isinstance(block, Mapping))


def _block_bytes(block: Mapping[str, Any]) -> int:
    match block.get("type"):
        case "text":
            return _text_bytes(block.get("text"))
        case "tool_result":
            return _text_bytes(block.get("content"))
        case _:
            return 0


def _has_summary(content: object) -> bool:
    if isinstance(content, str) or not isinstance(content, Sequence):
        return False
    return any(isinstance(block, Mapping) and block.get("type") == _STANDS_FOR_ALL for block in content)
