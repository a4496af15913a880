"""Checks of the messages and content blocks of a request; see `schemas.payload.checks`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from schemas.payload.api_rules import RULES
from schemas.payload.invalid import InvalidPayload
from schemas.payload.vocabulary import is_one_of, one_of

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def check_messages(messages: object) -> None:
    """Check the messages of a request: their form, their blocks, and that calls of tools and answers match.

    Raises:
        InvalidPayload: with the first reason found.
    """
    if not isinstance(messages, list):
        raise InvalidPayload("messages", "must be a list of role and content")
    if not messages:
        raise InvalidPayload("messages", "is empty")
    if len(messages) > RULES.limits.messages:
        raise InvalidPayload("messages", f"{len(messages):,} messages, at most {RULES.limits.messages:,}")
    calls = False
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidPayload("messages", f"messages.{index} is not an object with role and content")
        if len(message) > 2 and (extra := set(message) - {"role", "content"}):
            raise InvalidPayload(
                "messages", f"messages.{index} has {len(extra)} field(s) besides role and content"
            )
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant"):
            _refuse_role(index, role)
        calls |= _check_content(index, str(role), content)
    if messages[0]["role"] != "user":
        raise InvalidPayload("messages", "the first message must be from the user")
    if calls:
        _check_tool_results(messages)


def _refuse_role(index: int, role: object) -> None:
    if role == "system":
        raise InvalidPayload(
            "messages", f"messages.{index} has the role system; put that text in the system column"
        )
    raise InvalidPayload("messages", f"messages.{index} has a role other than user and assistant")


def _check_content(index: int, role: str, content: object) -> bool:
    """Check a message's content; whether it calls tools or answers them."""
    if isinstance(content, str):
        if not content or content.isspace():
            raise InvalidPayload("messages", f"messages.{index} has empty content")
        return False
    if not isinstance(content, list) or not content:
        raise InvalidPayload("messages", f"messages.{index} needs content: text or a list of blocks")
    calls = False
    for position, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(kind := block.get("type"), str):
            raise InvalidPayload("messages", f"messages.{index} has a content block without a type")
        if kind == "text":
            text = block.get("text")
            if not isinstance(text, str) or not text or text.isspace():
                raise InvalidPayload("messages", f"messages.{index} has an empty text block")
            if role == "assistant" or not block.get("citations"):
                continue
        calls |= kind in ("tool_use", "tool_result")
        check = _BLOCK_CHECKS.get(kind)
        if check is not None:
            check(block, f"messages.{index}.content.{position}", role)
    return calls


def check_blocks(content: object, where: str) -> None:
    """Check the content blocks of a system prompt, or those inside another block.

    Args:
        content: a list of blocks; anything else is left alone.
        where: the place of the list.

    Raises:
        InvalidPayload: with the parameter and the first reason found.
    """
    if not isinstance(content, list):
        return
    for position, block in enumerate(content):
        if isinstance(block, dict) and (check := _BLOCK_CHECKS.get(str(block.get("type")))):
            check(block, f"{where}.{position}", "")


def _check_text(block: Mapping[str, Any], where: str, role: str) -> None:
    if block.get("citations") and role != "assistant":
        raise InvalidPayload(where.split(".", 1)[0], f"{where} {RULES.blocks['user_citations'].sentence}")


def _check_image(block: Mapping[str, Any], where: str, _role: str) -> None:
    _check_base64(block.get("source"), where, "image_media")


def _check_document(block: Mapping[str, Any], where: str, role: str) -> None:
    if role == "assistant":
        raise InvalidPayload("messages", f"{where} {RULES.blocks['assistant_document'].sentence}")
    source = block.get("source")
    _check_base64(source, where, "document_media")
    if isinstance(source, dict):
        check_blocks(source.get("content"), f"{where}.content")


def _check_inside(block: Mapping[str, Any], where: str, _role: str) -> None:
    check_blocks(block.get("content"), f"{where}.content")


#: by the type of a block; what is not here is left to the provider's count
_BLOCK_CHECKS: dict[str, Callable[[Mapping[str, Any], str, str], None]] = {
    "text": _check_text,
    "image": _check_image,
    "document": _check_document,
    "tool_result": _check_inside,
    "search_result": _check_inside,
}


def _check_base64(source: object, where: str, media: str) -> None:
    """Check a base64 source by its media type, length and characters; it is not decoded."""
    if not isinstance(source, dict) or source.get("type") != "base64":
        return
    column = where.split(".", 1)[0]
    if not is_one_of(media, source.get("media_type")):
        raise InvalidPayload(column, f"{where} has a media_type it cannot have: it {one_of(media)}")
    data = source.get("data")
    if not isinstance(data, str) or not data:
        raise InvalidPayload(column, f"{where} has no data")
    looks = next((kind for start, kind in RULES.image_starts.items() if data.startswith(start)), None)
    if media == "image_media" and looks not in (None, source["media_type"]):
        raise InvalidPayload(
            column, f"{where} has the media_type {source['media_type']} and looks like {looks}"
        )
    # what is left without base64's letters may only be the padding at the end
    left = data.encode().translate(None, _BASE64).decode() if data.isascii() else data
    if len(data) % 4 or left not in ("", "=", "==") or not data.endswith(left):
        raise InvalidPayload(
            column,
            f"{where} has data that is not base64; write it padded, without line breaks or a data: prefix",
        )


def _check_tool_results(messages: Sequence[Mapping[str, Any]]) -> None:
    """Check that every call of a tool is answered in the next turn, and every answer has its call in the last.

    Messages of one role in a row are one turn, as the API joins them. A call in the last turn waits for its answer
    and is left to the provider's count.
    """
    asked: dict[str, int] = {}
    seen: set[str] = set()
    for first, last in _turns(messages):
        calls, answers = _calls_and_answers(messages, first, last)
        if again := [where for call, where in answers if call not in asked]:
            raise InvalidPayload(
                "messages", f"{again[0]} is a tool_result without its tool_use in the turn before"
            )
        answered = {call for call, _ in answers}
        if len(answered) < len(answers):
            raise InvalidPayload("messages", f"messages.{first} answers one tool_use twice")
        if unanswered := asked.keys() - answered:
            raise InvalidPayload(
                "messages",
                f"messages.{min(asked[call] for call in unanswered)} has {len(unanswered)} tool_use block(s) "
                "without a tool_result in the next turn",
            )
        asked = dict(calls)
        if len(asked) < len(calls) or asked.keys() & seen:
            raise InvalidPayload("messages", f"messages.{first} has a tool_use whose id stands twice")
        seen |= asked.keys()


def _calls_and_answers(
    messages: Sequence[Mapping[str, Any]], first: int, last: int
) -> tuple[list[tuple[str, int]], list[tuple[str, str]]]:
    """The calls of tools in a turn, each with its message; the answers, each with its place."""
    calls: list[tuple[str, int]] = []
    answers: list[tuple[str, str]] = []
    role = messages[first]["role"]
    for index in range(first, last):
        for position, block in enumerate(_list(messages[index]["content"])):
            where, kind = f"messages.{index}.content.{position}", block["type"]
            if kind not in ("tool_use", "tool_result"):
                continue
            if (kind == "tool_use") != (role == "assistant"):
                raise InvalidPayload("messages", f"{where} is a {kind} in a message of the {role}")
            if kind == "tool_use":
                calls.append((_call_id(block, "id", where), index))
            else:
                answers.append((_call_id(block, "tool_use_id", where), where))
    return calls, answers


def _turns(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    first = 0
    for index in range(1, len(messages) + 1):
        if index == len(messages) or messages[index]["role"] != messages[first]["role"]:
            yield first, index
            first = index


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []


def _call_id(block: Mapping[str, Any], name: str, where: str) -> str:
    value = block.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidPayload("messages", f"{where} has no {name}")
    return value
