"""What an answer shows of the provider's own tools is booked, whatever its usage says."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rules.prices import PriceCard
from rules.shown_uses import with_shown_uses
from rules.surcharges import ASSUMED_CONTAINER_SECONDS
from rules.usage_cost import BillingTerms, charge_of
from schemas.outcome import Billing
from schemas.usage import Answer

CARD = PriceCard("claude-sonnet-5-5", datetime(2026, 11, 20, tzinfo=UTC))
TERMS = BillingTerms(container_seconds=ASSUMED_CONTAINER_SECONDS)
USAGE = {"input_tokens": 40, "output_tokens": 9}
counts = st.integers(0, 4)
TEXT = {"type": "text", "text": "found"}


def call(name):
    return {"type": "server_tool_use", "id": "srvtoolu_1", "name": name, "input": {}}


def found(content=()):
    return {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


FAILED = found({"type": "web_search_tool_result_error", "error_code": "unavailable"})


def answer(content, uses=None):
    usage = USAGE | ({} if uses is None else {"server_tool_use": uses})
    return Answer(id="m", type="message", model="claude-sonnet-5-5", content=content, usage=usage)


def stated(searches, executions):
    return {"web_search_requests": searches, "code_execution_requests": executions}


@given(counts, counts, counts, counts, counts, st.booleans())
def test_the_larger_of_what_is_stated_and_what_is_shown_is_booked(
    shown, failed, runs, searches, executions, has_uses
):
    content = [TEXT, *[call("web_search"), found([])] * shown, *[call("web_search"), FAILED] * failed]
    content += [call("bash_code_execution")] * runs
    said = stated(searches, executions) if has_uses else None
    searches, executions = (searches, executions) if has_uses else (0, 0)
    charge = charge_of(CARD, answer(content, said), TERMS)
    most = stated(max(shown, searches), max(runs, executions))
    in_full = charge_of(CARD, answer([TEXT], most), TERMS)
    assert (charge.cost, charge.web_searches) == (in_full.cost, max(shown, searches))
    # and what came stays on record as it came
    assert charge.usage == answer([TEXT], said).usage.model_dump(mode="json", exclude_unset=True)
    if shown > searches or runs > executions:
        assert charge.billing is Billing.PARTIAL
    else:
        assert charge.billing is in_full.billing


def test_a_search_without_its_result_counts_and_other_blocks_do_not():
    odd = [
        {"type": "server_tool_use"},
        {"type": "server_tool_use", "name": 7},
        {"type": "tool_use", "name": "web_search"},
    ]
    shown, says_all = with_shown_uses(answer([TEXT, call("web_search"), *odd]))
    assert (shown.usage.web_searches, says_all) == (1, False)
    for content in ([], [TEXT], odd, [call("web_fetch")], [FAILED]):
        same = answer(content)
        assert with_shown_uses(same) == (same, True)
