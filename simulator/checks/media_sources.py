"""Checks of images and documents that stand in a request: their types, their base64, and how many.

That a picture or a PDF can be opened is not checked.

Source: Anthropic docs, "Vision", "PDF support" (2026-08).
"""

import binascii
from typing import Any

from simulator.billing.catalogue import Model
from simulator.billing.counting import blocks_of
from simulator.http.api_errors import invalid

#: accepted media types by block and source type
MEDIA_TYPES: dict[tuple[str, str], tuple[str, ...]] = {
    ("image", "base64"): ("image/jpeg", "image/png", "image/gif", "image/webp"),
    ("document", "base64"): ("application/pdf",),
    ("document", "text"): ("text/plain",),
}

#: how the base64 of an image begins that the API recognises as of another type than it is said to be
STARTS = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}

SMALL_WINDOW_TOKENS = 200_000
#: most images in a request, by whether the model's context window is a small one
MAX_IMAGES = {True: 100, False: 600}


def check_media(kind: str, source: dict[str, Any], where: str) -> None:
    """Check the source of an image or a document.

    Args:
        kind: type of the block.
        source: its source, whose fields have the right JSON types.
        where: path of the source.

    Raises:
        RefusedError: 400, naming the field.
    """
    accepted = MEDIA_TYPES.get((kind, source["type"]))
    if accepted is not None and source["media_type"] not in accepted:
        raise invalid(f"{where}.media_type", f"Input should be {' or '.join(accepted)}")
    if source["type"] == "base64" and not _is_base64(source["data"]):
        raise invalid(f"{where}.data", "Input should be valid base64 and not empty")
    if kind != "image" or source["type"] != "base64":
        return
    seen = next((media for start, media in STARTS.items() if source["data"].startswith(start)), None)
    if seen is not None and seen != source["media_type"]:
        raise invalid(f"{where}.media_type", f"the image appears to be of the type {seen}")


def _is_base64(data: str) -> bool:
    try:
        return bool(binascii.a2b_base64(data, strict_mode=True))
    except ValueError:
        return False


def check_number_of_images(messages: list[dict[str, Any]], model: Model) -> None:
    """Refuse a request with too many images.

    Args:
        messages: its messages, already checked one by one.
        model: the model it names.

    Raises:
        RefusedError: 400.
    """
    found = 0
    for message in messages:
        if not isinstance(message["content"], str):
            found += sum(block["type"] == "image" for block in blocks_of(message["content"]))
    most = MAX_IMAGES[model.max_input_tokens <= SMALL_WINDOW_TOKENS]
    if found > most:
        raise invalid("messages", f"at most {most} images are permitted for {model.id}, found {found}")
