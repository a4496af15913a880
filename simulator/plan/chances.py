"""Chance that can be repeated."""

import hashlib


def chance(*parts: object) -> float:
    """A number in [0, 1) that follows from the parts alone."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
