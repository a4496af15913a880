"""What is checked when a batch is created: its frame. The requests in it are judged later, one by one.

Source: Anthropic docs, "Batch processing" (2026-10-08); the pattern of custom_id is the API reference's.
That the number of requests is a 400 and their bytes are a 413 is an assumption.
"""

import re
from typing import Any

from simulator.checks.whole_request import check_names, parse
from simulator.http.api_errors import invalid
from simulator.unhurried import unhurried

#: largest accepted body of a create, bytes. Source: Anthropic docs, "Batch processing" (256 MB).
MAX_BATCH_BYTES = 256 * 1024 * 1024

#: most requests in one batch. Source: Anthropic docs, "Batch processing".
MAX_REQUESTS = 100_000

CUSTOM_ID = "^[a-zA-Z0-9_-]{1,64}$"

_CUSTOM_ID = re.compile(CUSTOM_ID.strip("^$"))
_BODY_FIELDS = frozenset({"requests"})
_REQUEST_FIELDS = frozenset({"custom_id", "params"})

#: (custom_id, params) of each request of a batch
Requests = list[tuple[str, dict[str, Any]]]


async def read_requests(raw: bytes) -> Requests:
    """The requests of a create.

    Args:
        raw: the request body as it came.

    Returns:
        each custom_id with its `params`, which are not checked yet.

    Raises:
        RefusedError: 400 with the first problem of the frame, 413 for a body above the limit.
    """
    body = parse(raw, MAX_BATCH_BYTES)
    check_names(body, _BODY_FIELDS)
    if "requests" not in body:
        raise invalid("requests", "Field required")
    requests = body["requests"]
    if not isinstance(requests, list):
        raise invalid("requests", "Input should be a valid list")
    if not 1 <= len(requests) <= MAX_REQUESTS:
        raise invalid("requests", f"List should have 1 to {MAX_REQUESTS} items, not {len(requests)}")
    found: Requests = []
    seen: set[str] = set()
    async for position, request in unhurried(enumerate(requests)):
        _check_request(request, f"requests.{position}", seen)
        found.append((request["custom_id"], request["params"]))
    return found


def _check_request(request: Any, where: str, seen: set[str]) -> None:
    """Check one request's frame and remembers its custom_id."""
    if not isinstance(request, dict):
        raise invalid(where, "Input should be a valid dictionary")
    check_names(request, _REQUEST_FIELDS, f"{where}.")
    for name in ("custom_id", "params"):
        if name not in request:
            raise invalid(f"{where}.{name}", "Field required")
    custom_id = request["custom_id"]
    if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
        raise invalid(f"{where}.custom_id", f"String should match pattern '{CUSTOM_ID}'")
    if custom_id in seen:
        raise invalid(f"{where}.custom_id", "custom_id must be unique in the batch")
    if not isinstance(request["params"], dict):
        raise invalid(f"{where}.params", "Input should be a valid dictionary")
    seen.add(custom_id)
