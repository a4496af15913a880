"""The key of an artifact in Prefect: all with the same key are the history of one page."""

import re
from hashlib import sha256

_UNFIT = re.compile(r"[^a-z0-9]+")
_LONGEST = 60


def artifact_key(stem: str, deployment: str | None) -> str:
    """The key of what a deployment shows again and again: lower case letters, digits and dashes, as Prefect demands.

    Args:
        stem: what it shows.
        deployment: its name; None: no deployment started the run.
    """
    if deployment is None:
        return stem
    name = _UNFIT.sub("-", deployment.lower()).strip("-")[:_LONGEST].strip("-")
    if name == deployment:
        return f"{stem}-{name}"
    # two names that come to the same letters keep their pages apart
    mark = sha256(deployment.encode()).hexdigest()[:8]
    return f"{stem}-{name}-{mark}" if name else f"{stem}-{mark}"
