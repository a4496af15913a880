"""The policies that a quote compares."""

from rules.quote_policies import compared_policies, own_name, unfitted_policy
from schemas.outcome import Mode
from tests.strategies import policy


def test_the_largest_model_and_the_other_mode_are_compared():
    rules = policy()
    found = compared_policies(rules)
    assert list(found) == [f"all on {rules.routes[-1].model}, messages", "test, batches"]
    largest, batches = found.values()
    assert [route.model for route in largest.routes] == [rules.routes[-1].model]
    assert (batches.mode, batches.routes) == (Mode.BATCHES, rules.routes)
    assert list(compared_policies(batches))[-1] == "test, messages"


def test_one_route_alone_is_the_largest_already():
    assert list(compared_policies(policy(routes=policy().model_dump()["routes"][:1]))) == ["test, batches"]


def test_pruning_is_in_the_name_and_what_it_saves_is_compared():
    rules = policy(prune={"on_over_budget": "prune"})
    assert own_name(rules) == "test, messages + pruning"
    assert own_name(unfitted_policy(rules)) == "test, messages"
    assert unfitted_policy(policy()) is None
