"""The policies that a quote compares: the run's own, and what routing and batches save against it."""

from schemas.outcome import Mode
from schemas.policy import Policy


def own_name(policy: Policy) -> str:
    """What the run's own policy is called in a quote."""
    fitting = _FITTING.get(policy.prune.on_over_budget, "")
    return f"{policy.name}, {_WAYS[policy.mode]}{fitting}"


_FITTING = {"prune": " + pruning", "downgrade": " + downgrading"}
_WAYS = {Mode.MESSAGES: "messages", Mode.BATCHES: "batches"}


def unfitted_policy(policy: Policy) -> Policy | None:
    """The same policy, under which a job over its budgets waits for a person; None: it is that already."""
    if policy.prune.on_over_budget == "review":
        return None
    return policy.model_copy(update={"prune": policy.prune.model_copy(update={"on_over_budget": "review"})})


def compared_policies(policy: Policy) -> dict[str, Policy]:
    """The policies that the run's own is compared with, by name: the other mode, and all jobs on the largest model."""
    last = policy.routes[-1]
    compared = {}
    if len(policy.routes) > 1:
        largest = policy.model_copy(update={"routes": (last,), "mode": Mode.MESSAGES})
        compared[f"all on {last.model}, messages"] = largest
    compared[other_name(policy)] = policy.model_copy(update={"mode": _other_mode(policy)})
    return compared


def other_name(policy: Policy) -> str:
    """What the run's own policy in the other mode is called in a quote."""
    return f"{policy.name}, {_WAYS[_other_mode(policy)]}"


def _other_mode(policy: Policy) -> Mode:
    return Mode.MESSAGES if policy.mode is Mode.BATCHES else Mode.BATCHES
