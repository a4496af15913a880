"""Reading digest: what the rows of a run are a function of. Runs with the same one read the same jobs."""

import json
from hashlib import sha256

from schemas.policy import Policy
from schemas.run import Way


def reading_digest(files: str, policy: Policy, way: Way, version: str) -> str:
    """SHA-256 of all that makes jobs of the rows of a file.

    Args:
        files: SHA-256 of the job files' contents.
        policy: of the run; caps, routes and the like make no difference.
        way: to think, asked for in place of the rows' own.
        version: of Weighbridge, because another one may read a row differently.
    """
    read_with = {
        "files": files,
        "jobs": policy.jobs.model_dump(mode="json"),
        "default_max_tokens": policy.output.default_max_tokens,
        "keep": policy.results.keep,
        "way": way,
        "version": version,
    }
    return sha256(json.dumps(read_with, sort_keys=True).encode()).hexdigest()
