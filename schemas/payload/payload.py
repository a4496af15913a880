"""The payload of a job: one Messages request without a model, checked, canonical, and the source of its bodies.

Sources of the rules: `schemas.payload.checks` and api_rules.toml; token counting guide (which parameters it takes,
what it refuses to count), errors page (32 MB a request).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NewType

import orjson

from schemas.json_bytes import json_bytes
from schemas.payload.bounds import uncounted_of, without_uncounted
from schemas.payload.checks import (
    COUNTED_PARAMETERS,
    PARAMETERS,
    REFUSED_PARAMETERS,
    UNCOUNTED_PARAMETERS,
    check_cache_markers,
    check_request,
)
from schemas.payload.exact_json import refuse_unfit
from schemas.payload.invalid import InvalidPayload
from schemas.payload.traits import Traits, blocks_of, traits_of

__all__ = [
    "COUNTED_PARAMETERS",
    "PARAMETERS",
    "REFUSED_PARAMETERS",
    "UNCOUNTED_PARAMETERS",
    "CacheTtl",
    "Fingerprint",
    "InvalidPayload",
    "Payload",
]

Fingerprint = NewType("Fingerprint", str)
CacheTtl = Literal["5m", "1h"]

#: 413 request_too_large above it; decimal megabytes, the stricter reading of "32 MB"
MAX_REQUEST_BYTES = 32_000_000


@dataclass(frozen=True)
class Payload:
    """One checked Messages request without a model.

    Attributes:
        request: the request's parameters, in the order they are sent.
        text: the same as JSON (compact, UTF-8), each key where the caller put it: a model reads a schema in its order.
    """

    request: Mapping[str, Any]
    text: bytes

    @classmethod
    def checked(cls, request: Mapping[str, Any]) -> "Payload":
        """The payload of a request.

        Args:
            request: Messages parameters without a model; `max_tokens` included.

        Raises:
            InvalidPayload: with the parameter and the reason, when the API would refuse it.
        """
        text = _written(request)
        if len(text) > MAX_REQUEST_BYTES:
            raise InvalidPayload(
                "messages",
                f"{len(text):,} bytes, over the API's limit of {MAX_REQUEST_BYTES:,} a request",
            )
        # after the writing, which goes no deeper than the checks can follow
        check_request(request)
        check_cache_markers(request)
        return cls(dict(request), text)

    @classmethod
    def restored(cls, text: bytes | str) -> "Payload":
        """A payload that was checked before, from its stored JSON."""
        data = text.encode() if isinstance(text, str) else text
        return cls(orjson.loads(data), data)

    @property
    def canonical(self) -> bytes:
        """The request as canonical JSON: sorted keys, compact, UTF-8."""
        return orjson.dumps(self.request, option=orjson.OPT_SORT_KEYS)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """SHA-256 of the canonical JSON, in hex: whatever the order of its keys, it is the same payload."""
        return Fingerprint(hashlib.sha256(self.canonical).hexdigest())

    @property
    def max_tokens(self) -> int:
        return int(self.request["max_tokens"])

    def message_body(self, model: str) -> dict[str, Any]:
        """The body of the paid call under `model`."""
        return {"model": model, **self.request}

    def count_body(self, model: str) -> dict[str, Any]:
        """The body of the free count under `model`: the paid one, less what count_tokens does not take."""
        return {"model": model, **{k: v for k, v in self.request.items() if k in COUNTED_PARAMETERS}}

    def bound_body(self, model: str) -> dict[str, Any]:
        """The body of the free count under `model`, less what the provider does not count in it."""
        rest = without_uncounted(self.request)
        return {"model": model, **{k: v for k, v in rest.items() if k in COUNTED_PARAMETERS}}

    @cached_property
    def traits(self) -> Traits:
        """What rules, prices and history ask about it."""
        blocks = [block for _, block in blocks_of(self.request) if "source" in block]
        return traits_of(self.request, blocks, uncounted_of(self.request, blocks))

    @cached_property
    def cache_ttl(self) -> CacheTtl | None:
        """The dearest prompt-cache write it may cause, or None when it asks for no caching."""
        if b'"cache_control"' not in self.text:
            return None
        return "1h" if b'"ttl":"1h"' in self.text else "5m"


def _written(request: Mapping[str, Any]) -> bytes:
    """A request as JSON that reads back as the same request.

    Raises:
        InvalidPayload: there is none, with the place of what cannot be written as it is.
    """
    try:
        text = json_bytes(request)
    except TypeError:
        text = b"null"
    # the writer knows values that JSON does not, and changes them: NaN to null, a date to text
    if orjson.loads(text) == request:
        return text
    refuse_unfit(request)
    raise InvalidPayload("messages", "cannot be written as JSON")
