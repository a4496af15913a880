"""Reading digest: what the rows of a run are a function of. Runs with the same one read the same jobs."""

import json
from hashlib import sha256

from rules.models import Models
from schemas.model_facts import ModelFacts
from schemas.payload.api_rules import limits_of
from schemas.policy import Policy
from schemas.run import Way


def reading_digest(files: str, policy: Policy, models: Models, way: Way, version: str) -> str:
    """SHA-256 of all that makes jobs, or rejections, of the rows of a file.

    Args:
        files: SHA-256 of the job files' contents.
        policy: of the run; caps, the limits of its routes and the like make no difference.
        models: those of the run: a row that none of them takes is rejected.
        way: to think, asked for in place of the rows' own.
        version: of Weighbridge, because another one may read a row differently.
    """
    read_with = {
        "files": files,
        "mode": policy.mode,
        "routed": sorted({route.model for route in policy.routes}),
        "taken": {name: _taken(facts) for name, facts in {**models.listed, **models.callable}.items()},
        "jobs": policy.jobs.model_dump(mode="json"),
        "default_max_tokens": policy.output.default_max_tokens,
        "keep": policy.results.keep,
        "way": way,
        "version": version,
    }
    return sha256(json.dumps(read_with, sort_keys=True).encode()).hexdigest()


def _taken(facts: ModelFacts) -> dict[str, object]:
    """What a model takes."""
    limits = limits_of(facts)
    values = {name: getattr(limits, name) for name in type(limits).model_fields}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}
